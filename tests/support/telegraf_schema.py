"""What Telegraf 1.39.3 really wrote (tests/data/telegraf-1.39.3), and what is not the same on purpose."""

import json
from typing import Final

import host_trees

RECORDED: Final = json.loads((host_trees.DATA / "telegraf-1.39.3/schema.json").read_text())

GO_ALONE: Final = {"internal_memstats", "internal_serializer"}
"""Measurements that say something of Go's runtime, or of Telegraf's plugins, that we have no part of."""

NOT_OURS: Final = {
    # Of the program itself: Telegraf's language, its plugins' start, its serialisers and processors.
    "internal_agent": {"go_version"},
    "internal_gather": {"startup_errors", "errors"},
    "internal_write": {"startup_errors", "errors", "metrics_added", "metrics_filtered"},
}
"""Recorded tags and fields that we do not send."""

OURS_ALONE: Final = {
    "disk": {"label"},  # Telegraf too, where a file system has one
    "mem": {"wired"},  # Telegraf too, on macOS
    "system": {"n_users", "n_unique_users"},  # Telegraf too, where utmp can be read
    "kernel": {"disk_pages_in", "disk_pages_out"},  # Telegraf too, on kernels up to 2.6
    "linux_sysctl_fs": {"dquot-nr", "dquot-max", "super-nr", "super-max"},  # Telegraf too, where the kernel has them
    "processes": {"parked"},  # Telegraf too, when there is one
    "internal_gather": {"metrics_rejected"},
}
"""What we declare and the recording lacks, beside net's protocol counters, which Telegraf sent until 1.28."""

"""The baked image boots, and its agent reports from under the hardened unit: a machine's whole life, in a container."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

import need
from baked import Image
from servers import Influxd1
from waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow

BOOT_SECONDS: Final = 600.0
"""Until systemd is up and the whole image was looked at, on a machine that has other things to do."""

CAP_DAC_READ_SEARCH: Final = 1 << 2
SECCOMP_FILTER: Final = "2"


@pytest.fixture
def machine(image: Image, tmp_path: Path) -> Path:
    """A copy of the image's root: a machine that was never booted."""
    root = tmp_path / "machine"
    subprocess.run(["cp", "--archive", "--reflink=auto", str(image.root), str(root)], check=True)
    return root


@contextmanager
def booted(root: Path, user_data: Path, log: Path) -> Iterator[None]:
    """The machine, running; halted in an orderly way at the end."""
    program = need.program("systemd-nspawn", "systemd-container")
    command = [
        program, "--quiet", f"--directory={root}", "--boot", "--register=no", "--keep-unit", "--console=pipe",
        f"--bind-ro={user_data}:/run/driftline",
    ]  # fmt: skip
    with log.open("wb") as output:
        container = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield
            container.terminate()
            container.wait(PATIENCE)
        finally:
            container.kill()
            container.wait()


def agent_of(root: Path) -> dict[str, str]:
    """`/proc/PID/status` of the machine's agent, by key."""
    config = root / "etc/driftline/agent.toml"
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"drift_agent.daemon" in (process / "cmdline").read_bytes() and os.path.samefile(
                process / "root/etc/driftline/agent.toml", config
            ):
                lines = (process / "status").read_text().splitlines()
                return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
        except OSError:
            continue
    raise AssertionError(f"no agent runs in {root}")


def test_a_machine_from_boot_to_halt(machine: Path, influxd1: Influxd1, tmp_path: Path) -> None:
    """Clean after its first boot, drifted within seconds of a change, and terminated when the machine halts."""
    database = influxd1.new_database()
    user_data = tmp_path / "user-data"
    user_data.mkdir()
    (user_data / "token").write_text("unused")
    (user_data / "environment").write_text(
        f"DRIFTLINE_OUTPUTS_0_URL={influxd1.url}\nDRIFTLINE_OUTPUTS_0_DATABASE={database}\n"
    )

    def rows(query: str) -> list[dict[str, Any]]:
        return influxd1.rows(query, database)

    # The container shares this machine's network: a port that another program opens here is drift there, so what is
    # asked for is the report of the first scan, and the one file that the test changes.
    first = """SELECT "seq" FROM "drift" WHERE "state" = 'clean' AND "unreadable" = 0"""
    changed = """SELECT "key" FROM "drift_item" WHERE "key" = '/etc/issue' AND "change" = 'modified'"""
    with booted(machine, user_data, tmp_path / "log"):
        wait_until(lambda: bool(rows(first)), BOOT_SECONDS, "a clean report")
        agent = agent_of(machine)
        assert int(agent["CapEff"], 16) == int(agent["CapBnd"], 16) == CAP_DAC_READ_SEARCH
        assert (agent["NoNewPrivs"], agent["Seccomp"]) == ("1", SECCOMP_FILTER)
        assert agent["Uid"].split()[0] != "0"
        (machine / "etc" / "issue").write_text("changed\n")
        wait_until(lambda: bool(rows(changed)), what="the changed file in a report")
    (last,) = rows('SELECT last("state") AS "state", "modified", "image", "group" FROM "drift"')
    assert (last["state"], last["modified"], last["image"], last["group"]) == ("terminated", 1, "web@42", "web")

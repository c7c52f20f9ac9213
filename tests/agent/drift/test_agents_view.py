"""What root bakes is clean to the agent: a user of its own that may read everything, and nothing more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import need
from drift_agent.image.policy_file import load_policy
from trees import File, Tree, bake_tree, make_tree

TREE: Tree = {
    "etc": {
        "passwd": "root:x:0:0:root:/root:/bin/sh\n",
        "shadow": File("root:*:1:0:99999:7:::\n", 0o600),
        "group": "root:x:0:\n",
        "gshadow": File("root:*::\n", 0o600),
        "secret": File("x", 0o600),
    },
    "root": {"closed": {"deep": File("x", 0o400)}},
    "usr/bin": {"tool": File("x" * 100_000, 0o700)},
    "opt": {f"{number:02}": File("x", 0o600 if number % 3 else 0o644) for number in range(99)},
}

CHECK = """
import ctypes, os, struct, sys
from drift_agent.drift.check import check_tree
from drift_agent.image import batches
from drift_agent.image.manifest import Manifest
batches.START_AFTER = 0  # the process beside the walk is asked first
if sys.argv[3:]:  # only now: the code itself may lie where only root comes to
    libc = ctypes.CDLL(None)
    PR_SET_KEEPCAPS, VERSION_3, DAC_READ_SEARCH = 8, 0x20080522, 1 << 2
    libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    keeps = DAC_READ_SEARCH if sys.argv[3] == "not inherited" else 0  # effective and permitted, as files give it
    assert libc.capset(struct.pack("<Ii", VERSION_3, 0), struct.pack("<6I", keeps, keeps, 0, 0, 0, 0)) == 0
with Manifest.open(sys.argv[2]) as manifest:
    result = check_tree(sys.argv[1], manifest)
    print([change.key for change in result.changes], result.unreadable, result.observed == manifest.header.digest)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to become another user with a capability")
def test_what_root_bakes_is_clean_to_a_user_that_may_read_everything(tmp_path: Path) -> None:
    setpriv = need.program("setpriv", "util-linux")
    root = make_tree(tmp_path / "root", TREE)
    (root / "root/closed").chmod(0o700)
    (root / "root").chmod(0o700)
    os.setxattr(root / "etc/secret", "user.note", b"1")
    os.setxattr(root / "etc/secret", "trusted.note", b"only root sees it")
    bake_tree(root, tmp_path / "m", load_policy(None, "debian")).close()
    for parent in [tmp_path, *tmp_path.parents]:
        parent.chmod(parent.stat().st_mode & 0o7777 | 0o755)
    as_agent = [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups"]
    capable = [f"--{caps}=-all,+dac_read_search" for caps in ("inh-caps", "ambient-caps", "bounding-set")]
    python = [sys.executable, "-c", CHECK, str(root), str(tmp_path / "m")]
    done = subprocess.run([*as_agent, *capable, *python], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[] [] True\n", "")
    alone = subprocess.run([*python, "not inherited"], capture_output=True, text=True, check=False)
    assert (alone.stdout, alone.stderr) == ("[] [] True\n", ""), "what the process may not see is looked at here"
    without = subprocess.run([*python, "without"], capture_output=True, text=True, check=False)
    assert "Permission denied" in without.stdout
    assert without.stdout.startswith("[] ")

"""A Debian image boots for the first time under the agent: clean before the seal and behind it, and nothing after."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from detectors import make_detector, newest_set, said
from drift_agent.config import AgentOptions, Config, ImageOptions
from drift_agent.drift.comparison import open_comparison
from drift_agent.image import osrelease
from drift_agent.image.bake import bake
from drift_agent.image.policy_file import load_policy
from drift_agent.model import Point
from fakes import FakeClock
from trees import Tree, make_tree

IMAGE: Tree = {
    "etc": {
        "os-release": "ID=debian\nVERSION_ID=12\n",
        "passwd": "root:x:0:0:root:/root:/bin/bash\n",
        "group": "root:x:0:\nsudo:x:27:\n",
        "shadow": "root:*:19000:0:99999:7:::\n",
        "gshadow": "root:*::\nsudo:*::\n",
        "hostname": "golden\n",
        "machine-id": "",
        "motd": "hello\n",
        "cloud/cloud.cfg": "system_info:\n  default_user:\n    name: debian\n    groups: [sudo]\n",
        "ssh/sshd_config": "PermitRootLogin no\n",
        "sudoers": "root ALL=(ALL:ALL) ALL\n",
        "sudoers.d": None,
    },
    "usr/bin": {"cloud-init": "#!/usr/bin/python3\n"},
    "home": None,
    "root": None,
    "run": None,
}
FIRST_BOOT: Tree = {
    "etc": {
        "passwd": "root:x:0:0:root:/root:/bin/bash\ndebian:x:1000:1000:Debian:/home/debian:/bin/bash\n",
        "group": "root:x:0:\nsudo:x:27:debian\ndebian:x:1000:\n",
        "shadow": "root:*:19000:0:99999:7:::\ndebian:!:19700:0:99999:7:::\n",
        "gshadow": "root:*::\nsudo:*::debian\ndebian:!::\n",
        "hostname": "web-1\n",
        "machine-id": "0123456789abcdef0123456789abcdef\n",
        "ssh/ssh_host_ed25519_key": "secret",
        "ssh/ssh_host_ed25519_key.pub": "public",
        "sudoers.d/90-cloud-init-users": "debian ALL=(ALL) NOPASSWD:ALL\n",
    },
    "home/debian/.ssh": {"authorized_keys": "ssh-ed25519 AAAA admin\n"},
}


class Instance:
    """One instance of the image above, and its agent."""

    def __init__(self, folder: Path) -> None:
        self.root = make_tree(folder / "root", IMAGE)
        manifest = folder / "manifest.jsonl"
        root = str(self.root)
        layers, accounts = osrelease.layers_of(root), osrelease.account_rules(root)
        bake(root, "web", "1", load_policy(None, "debian", layers=layers, more=accounts), str(manifest))
        self.folder = folder
        self.clock = FakeClock()
        self.config = Config(
            agent=AgentOptions(state_dir=str(folder)),
            image=ImageOptions(root=root, manifest=str(manifest), watch=False, settle=86400.0),
        )
        self.points: list[Point] = []
        self.start()

    def start(self) -> None:
        self.detector = make_detector(
            self.config, lambda: open_comparison(self.config, self.folder), self.clock, self.points.extend
        )

    def scan(self) -> None:
        self.clock.advance(901.0)
        self.detector.step()

    def last(self, name: str) -> object:
        return said(self.points)[-1].fields[name]

    def items(self) -> dict[object, str]:
        return {item.fields["key"]: item.tags["change"] for item in newest_set(self.points)}


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    """An instance whose first boot is over, and sealed."""
    made = Instance(tmp_path)
    made.detector.step()
    make_tree(made.root, FIRST_BOOT)
    made.scan()
    assert made.last("sealed") == 0
    assert (made.last("state"), made.items()) == ("clean", {})
    make_tree(made.root, {"run/cloud-init": {"result.json": "{}"}})
    made.scan()
    assert made.last("sealed") != 0
    assert (made.last("state"), made.items()) == ("clean", {})
    assert made.last("observed") == made.last("manifest")
    yield made
    made.detector.close()


def test_the_next_boot_and_a_new_agent_are_clean_under_the_same_seal(instance: Instance) -> None:
    seal, sealed = instance.last("seal"), instance.last("sealed")
    shutil.rmtree(instance.root / "run/cloud-init")
    instance.detector.close()
    instance.start()
    instance.scan()
    assert instance.last("state") == "clean"
    assert (instance.last("seal"), instance.last("sealed")) == (seal, sealed)


@pytest.mark.parametrize(
    ("path", "text", "change"),
    [
        ("home/debian/.ssh/authorized_keys", "ssh-ed25519 AAAA admin\nssh-ed25519 BBBB eve\n", "modified"),
        ("etc/ssh/ssh_host_ed25519_key", "another", "modified"),
        ("etc/sudoers", "root ALL=(ALL:ALL) ALL\neve ALL=(ALL) NOPASSWD:ALL\n", "modified"),
        ("etc/sudoers.d/eve", "eve ALL=(ALL) NOPASSWD:ALL\n", "added"),
        ("etc/hostname", "golden\n", "modified"),
        ("etc/motd", "changed\n", "modified"),
    ],
)
def test_what_changes_behind_the_seal_is_drift_and_stays_reverted(
    instance: Instance, path: str, text: str, change: str
) -> None:
    target = instance.root / path
    before = target.read_text() if target.exists() else None
    target.write_text(text)
    instance.scan()
    assert instance.items() == {f"/{path}": change}
    assert instance.last("state") == "drifted"
    if before is None:
        target.unlink()
    else:
        target.write_text(before)
    instance.scan()
    assert instance.items() == {f"/{path}": "reverted"}
    assert instance.last("state") == "drifted"


def test_a_sealed_file_that_goes_is_drift(instance: Instance) -> None:
    (instance.root / "etc/ssh/ssh_host_ed25519_key").unlink()
    instance.scan()
    assert instance.items() == {"/etc/ssh/ssh_host_ed25519_key": "removed"}


def test_a_new_account_is_drift_and_the_first_boots_own_is_not(instance: Instance) -> None:
    with (instance.root / "etc/passwd").open("a") as file:
        file.write("eve:x:0:0::/root:/bin/bash\n")
    instance.scan()
    assert instance.items() == {"eve": "added"}


def test_a_memory_that_is_wiped_begins_again_with_another_seal(instance: Instance) -> None:
    sealed = instance.last("sealed")
    instance.detector.close()
    for path in instance.folder.glob("state.db*"):
        path.unlink()
    instance.start()
    instance.scan()
    assert instance.last("sealed") not in (0, sealed)
    assert instance.last("seq") == 1

"""What each fact reads out of a tree."""

import errno
from collections.abc import Mapping
from pathlib import Path

import pytest

from drift_agent.image.facts import FACTS, Context, group, package, service, sysctl, user
from drift_agent.image.facts.base import Fact
from drift_agent.image.rootfs import RootFiles
from drift_agent.model import AttributeValue
from trees import Link, Tree, make_tree


def gather(
    fact: Fact, root: Path, tree: Tree, *, sealed: str = "", image: str = "web"
) -> Mapping[str, Mapping[str, AttributeValue]]:
    with RootFiles(str(make_tree(root, tree))) as files:
        gathered = fact.gather(Context(files, image, lambda name: name == sealed))
    assert gathered is not None
    assert gathered.unreadable == {}
    assert [item.kind for item in gathered.items] == [fact.kind] * len(gathered.items)
    return {item.key: item.attributes for item in gathered.items}


PASSWD = "root:x:0:0:root:/root:/bin/bash\ndebian:x:1000:1000:Debian:/home/debian:/bin/bash\n# note\n\nbroken line\n"
SHADOW = "root:*:19000:0:99999:7:::\ndebian:$6$abc$def:19500:0:99999:7:::\nghost::1::::::\n"


def test_an_account_is_what_all_files_say_of_it(tmp_path: Path) -> None:
    users = gather(
        user.FACT,
        tmp_path,
        {
            "etc": {
                "passwd": PASSWD,
                "shadow": SHADOW,
                "group": "sudo:x:27:debian\nadm:x:4:debian,root\n",
                "subuid": "debian:100000:65536\ndebian:300000:10\n",
            }
        },
        sealed="debian",
    )
    assert users["root"] == {
        "uid": 0, "gid": 0, "gecos": "root", "home": "/root", "shell": "/bin/bash", "password": "locked",
        "aging": "0:99999:7::",
    }  # fmt: skip
    assert users["debian"]["password"] == "set"
    assert users["debian"]["groups"] == "adm,sudo"
    assert users["debian"]["subuid"] == "100000:65536,300000:10"
    assert users["ghost"]["password"] == "none"
    assert [key for key in users if key.startswith("malformed:")]


def test_a_password_is_told_apart_but_never_told(tmp_path: Path) -> None:
    digests = set()
    for number, (image, secret) in enumerate([("web", "$6$a"), ("web", "$6$b"), ("db", "$6$a")]):
        tree: Tree = {"etc": {"passwd": "a:x:1:1::/:/\n", "shadow": f"a:{secret}:1::::::\n"}}
        users = gather(user.FACT, tmp_path / str(number), tree, image=image)
        digests.add(users["a"]["password_sha256"])
        assert "$6$" not in str(users)
    assert len(digests) == 3


def test_groups_leave_out_who_first_boot_makes(tmp_path: Path) -> None:
    groups = gather(
        group.FACT,
        tmp_path,
        {"etc": {"group": "adm:x:4:root,debian\nsudo:x:27:debian\n", "gshadow": "adm:*::root,debian\nsudo:!:x:y\n"}},
        sealed="debian",
    )
    assert groups["adm"] == {"gid": 4, "members": "root", "password": "locked"}
    assert groups["sudo"] == {
        "gid": 27, "members": "", "password": "locked", "administrators": "x", "shadow_members": "y",
    }  # fmt: skip


def test_packages_are_those_that_are_there_at_least_in_part(tmp_path: Path) -> None:
    status = (
        "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2\nDescription: sh\n more\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n\n"
        "Package: half\nStatus: install ok half-configured\nArchitecture: all\nVersion: 2\n\n"
        "junk without a colon\n"
    )
    packages = gather(
        package.FACT,
        tmp_path,
        {"var/lib/dpkg": {"status": status, "status.d": {"base": "Package: base\nVersion: 3\n", "base.md5sums": "x"}}},
    )
    assert packages == {
        "base:all": {"version": "3", "state": "installed"},
        "bash:amd64": {"version": "5.2", "state": "installed"},
        "half:all": {"version": "2", "state": "half-configured"},
    }


def test_units_have_the_state_that_their_links_give_them(tmp_path: Path) -> None:
    units = gather(
        service.FACT,
        tmp_path,
        {
            "lib": Link("usr/lib"),
            "usr/lib/systemd/system": {
                "ssh.service": "[Unit]\n[Install]\nWantedBy=multi-user.target\n",
                "off.service": "[Install]\n",
                "static.service": "[Service]\n",
                "mask.service": "[Install]\n",
                "getty@.service": "[Install]\n",
                "README": "x",
            },
            "etc/systemd/system": {
                "mask.service": Link("/dev/null"),
                "sshd.service": Link("/lib/systemd/system/ssh.service"),
                "empty.service": "",
                "multi-user.target.wants": {"ssh.service": Link("/lib/systemd/system/ssh.service")},
                "getty.target.wants": {"getty@tty1.service": Link("/lib/systemd/system/getty@.service")},
            },
        },
    )
    assert {name: attributes["state"] for name, attributes in units.items()} == {
        "ssh.service": "enabled",
        "off.service": "disabled",
        "static.service": "static",
        "mask.service": "masked",
        "getty@.service": "disabled",
        "getty@tty1.service": "enabled",
        "sshd.service": "alias",
        "empty.service": "masked",
    }
    assert units["ssh.service"]["wanted_by"] == "multi-user.target"


def test_the_parameter_that_is_set_last_counts(tmp_path: Path) -> None:
    parameters = gather(
        sysctl.FACT,
        tmp_path,
        {
            "usr/lib/sysctl.d": {"50-a.conf": "kernel.x=1\nnet.y = 1\n", "60-over.conf": "vm.z=1\n"},
            "etc/sysctl.d": {"60-over.conf": "# c\n; c\n-net/ipv4/conf/eth0.1/x = 4\t5\nnonsense\n=3\n"},
            "etc/sysctl.conf": "kernel.x = 2\n",
        },
    )
    assert parameters == {
        "kernel.x": {"value": "2"},
        "net.ipv4.conf.eth0/1.x": {"value": "4 5"},
        "net.y": {"value": "1"},
    }


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.kind)
def test_a_tree_without_its_sources_has_no_such_kind(fact: Fact, tmp_path: Path) -> None:
    with RootFiles(str(tmp_path)) as files:
        assert fact.gather(Context(files)) is None


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.kind)
def test_links_never_lead_a_fact_out_of_the_tree(fact: Fact, tmp_path: Path) -> None:
    """What a machine's own /etc/passwd would say must not stand for an offline root's."""
    tree: Tree = {source.strip("/"): Link("/../../../../../.." + source) for source in fact.sources}
    with RootFiles(str(make_tree(tmp_path, tree))) as files:
        gathered = fact.gather(Context(files))
    assert gathered is None or gathered.items == []


@pytest.mark.parametrize("fact", [package.FACT, service.FACT, sysctl.FACT], ids=lambda fact: fact.kind)
def test_a_folder_that_cannot_be_read_is_said_and_is_no_absence(
    fact: Fact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: RootFiles, key: str) -> list[str]:
        raise PermissionError(errno.EACCES, "Permission denied", key)

    monkeypatch.setattr(RootFiles, "names", refuse)
    with RootFiles(str(tmp_path)) as files:
        gathered = fact.gather(Context(files))
    assert gathered is not None
    assert set(gathered.unreadable.values()) == {"Permission denied"}
    assert set(gathered.unreadable) <= set(fact.sources)

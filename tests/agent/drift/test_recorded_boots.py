"""Clean first boots come out clean, and what an intruder does does not: on recorded boots of Debian 12 and 13 images.

`tests/fixtures/first-boot-debian-*/` list what each boot changed; the changes are made again on a small root.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import need
from drift_agent.drift.check import check_tree
from drift_agent.drift.check_result import CheckResult
from drift_agent.image import osrelease
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy_file import load_policy
from trees import File, Tree, bake_tree, make_tree

FIXTURES = Path(__file__).parents[2] / "fixtures"
BOOTS = (
    "first-boot-debian-12/baked-vs-boot-1.txt",
    "first-boot-debian-12/baked-vs-boot-2.txt",
    "first-boot-debian-13/baked-vs-boot.txt",
)

PASSWD = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
SHADOW = "root:*:19700:0:99999:7:::\ndaemon:*:19700:0:99999:7:::\n"
GROUP = "root:x:0:\nadm:x:4:\nsudo:x:27:\n"
GSHADOW = "root:*::\nadm:*::\nsudo:*::\n"

ACCOUNTS = {
    "/etc/passwd": PASSWD + "debian:x:1000:1000:Debian:/home/debian:/bin/bash\n",
    "/etc/shadow": SHADOW + "debian:!:20000:0:99999:7:::\n",
    "/etc/group": GROUP.replace(":27:", ":27:debian").replace(":4:", ":4:debian") + "debian:x:1000:\n",
    "/etc/gshadow": GSHADOW.replace("sudo:*::", "sudo:*::debian").replace("adm:*::", "adm:*::debian") + "debian:!::\n",
    "/etc/subuid": "debian:100000:65536\n",
    "/etc/subgid": "debian:100000:65536\n",
}

IMAGE: Tree = {
    "etc": {
        "os-release": 'ID=debian\nVERSION_ID="12"\n',
        "cloud/cloud.cfg": "system_info:\n   distro: debian\n   default_user:\n     name: debian\n",
        "passwd": PASSWD, "passwd-": "", "shadow": File(SHADOW, 0o640), "shadow-": "", "group": GROUP, "group-": "",
        "gshadow": File(GSHADOW, 0o640), "gshadow-": "", "subuid": "", "subgid": "",
        "hostname": "localhost\n", "machine-id": "", "sudoers": File("root ALL=(ALL:ALL) ALL\n", 0o440),
        "sudoers.d": {"README": File("# d\n", 0o440)}, "ssh": {"sshd_config": "PermitRootLogin no\n"},
        "network": {"interfaces": "", "interfaces.d": None}, "udev/rules.d": None, "pam.d/sshd": "auth required x.so\n",
        "bash.bashrc": "PS1=x\n", "cron.d": None, "sysctl.d": None, "modules": "",
        "systemd/system": {"multi-user.target.wants": None}, "ld.so.cache": "x",
    },
    "home": None,
    "root": {".bashrc": "x", ".ssh": None},
    "usr": {
        "bin": {"login": File("#!elf", 0o755), "ping": File("#!elf", 0o755), "passwd": File("#!elf", 0o4755)},
        "lib": {"modules/6.1/kernel": {"ext4.ko": "x"}, "systemd/system": {"ssh.service": "[Install]\n"}},
    },
    "var": {
        "cache/debconf": dict.fromkeys(("config.dat", "config.dat-old", "templates.dat", "templates.dat-old"), ""),
        "lib": {
            "chrony": None, "dbus": None, "dhcp": None, "nginx": None, "postfix": None, "systemd": None,
            "dpkg": {
                "status": "Package: login\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n",
                "info": {"login.postinst": File("#!/bin/sh\n", 0o755)},
            },
        },
        "log": {"journal": None, "unattended-upgrades": None, "wtmp": ""},
        "spool/cron/crontabs": None,
    },
}  # fmt: skip


def boot(root: Path, recorded: Path) -> None:
    """Makes the recorded changes."""
    for line in recorded.read_text().splitlines():
        sign, path = line.split(" ")[:2]
        here = root / path.strip("/")
        if sign == "+" and line.endswith(" d"):
            here.mkdir(exist_ok=True, parents=True)
        elif "'mode'" in line and "'content'" not in line:
            here.chmod(0o750)
        elif path in ACCOUNTS:
            here.write_text(ACCOUNTS[path])
        else:
            here.parent.mkdir(exist_ok=True, parents=True)
            here.write_text(f"written by {recorded.name}\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "root", IMAGE)


@pytest.fixture
def manifest(root: Path, tmp_path: Path) -> Manifest:
    policy = load_policy(
        None,
        osrelease.profile_of(str(root)),
        layers=osrelease.layers_of(str(root)),
        more=osrelease.account_rules(str(root)),
    )
    return bake_tree(root, tmp_path / "m", policy)


def drifted(result: CheckResult) -> set[tuple[str, str]]:
    """The keys of what is no matter of the seal."""
    return {(change.kind, change.key) for change in result.changes if change.path_class != "sealed"}


@pytest.mark.parametrize("recorded", BOOTS)
def test_a_recorded_first_boot_reports_nothing(root: Path, manifest: Manifest, recorded: str) -> None:
    boot(root, FIXTURES / recorded)
    result = check_tree(str(root), manifest)
    assert drifted(result) == set()
    assert result.observed == manifest.header.digest
    assert ("user", "debian") in {(change.kind, change.key) for change in result.changes}


def append(root: Path, key: str, text: str) -> None:
    with (root / key).open("a") as file:
        file.write(text)


def edit_in_place(root: Path, key: str) -> None:
    """Same size, times put back."""
    status = (root / key).stat()
    (root / key).write_bytes(b"X" * status.st_size)
    os.utime(root / key, ns=(status.st_atime_ns, status.st_mtime_ns))


def install(root: Path) -> None:
    append(
        root, "var/lib/dpkg/status", "\nPackage: nmap\nStatus: install ok installed\nArchitecture: amd64\nVersion: 7\n"
    )


def write(key: str, text: str = "x\n", mode: int = 0o644) -> Callable[[Path], None]:
    def act(root: Path) -> None:
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_text(text)
        (root / key).chmod(mode)

    return act


INTRUSIONS: dict[str, tuple[Callable[[Path], object], tuple[str, str]]] = {
    "cron file": (write("etc/cron.d/x"), ("file", "/etc/cron.d/x")),
    "user's crontab": (write("var/spool/cron/crontabs/root"), ("file", "/var/spool/cron/crontabs/root")),
    "unit": (write("etc/systemd/system/x.service"), ("service", "x.service")),
    "unit enabled": (
        lambda root: (root / "etc/systemd/system/multi-user.target.wants/ssh.service").symlink_to("/lib/ssh.service"),
        ("service", "ssh.service"),
    ),
    "unit drop-in": (
        write("etc/systemd/system/ssh.service.d/x.conf"),
        ("file", "/etc/systemd/system/ssh.service.d/x.conf"),
    ),
    "preload": (write("etc/ld.so.preload"), ("file", "/etc/ld.so.preload")),
    "sudoers.d": (write("etc/sudoers.d/99-x", mode=0o440), ("file", "/etc/sudoers.d/99-x")),
    "PAM": (write("etc/pam.d/sshd", "auth sufficient pam_permit.so\n"), ("file", "/etc/pam.d/sshd")),
    "shell rc": (lambda root: append(root, "root/.bashrc", "sh &\n"), ("file", "/root/.bashrc")),
    "profile.d": (write("etc/profile.d/x.sh"), ("file", "/etc/profile.d/x.sh")),
    "setuid": (lambda root: (root / "usr/bin/ping").chmod(0o4755), ("file", "/usr/bin/ping")),
    "new user": (
        lambda root: append(root, "etc/passwd", "eve:x:1001:1001::/home/eve:/bin/sh\n"),
        ("user", "eve"),
    ),
    "second root": (lambda root: append(root, "etc/passwd", "toor:x:0:0::/:/bin/sh\n"), ("user", "toor")),
    "password for root": (
        lambda root: (root / "etc/shadow").write_text("root:$6$x:1::::::\n" + SHADOW),
        ("user", "root"),
    ),
    "member of sudo": (
        lambda root: (root / "etc/group").write_text(GROUP.replace(":27:", ":27:daemon")),
        ("group", "sudo"),
    ),
    "package installed": (install, ("package", "nmap:amd64")),
    "package removed": (write("var/lib/dpkg/status", "\n"), ("package", "login:amd64")),
    "package's file edited": (lambda root: append(root, "usr/bin/login", "x"), ("file", "/usr/bin/login")),
    "maintainer script": (
        lambda root: append(root, "var/lib/dpkg/info/login.postinst", "x"),
        ("file", "/var/lib/dpkg/info/login.postinst"),
    ),
    "kernel module": (write("usr/lib/modules/6.1/kernel/rk.ko"), ("file", "/usr/lib/modules/6.1/kernel/rk.ko")),
    "module at boot": (write("etc/modules-load.d/x.conf"), ("file", "/etc/modules-load.d/x.conf")),
    "sysctl": (write("etc/sysctl.d/x.conf", "kernel.x=1\n"), ("sysctl", "kernel.x")),
    "hidden file": (write("usr/bin/.x", mode=0o755), ("file", "/usr/bin/.x")),
    "timestomped": (lambda root: edit_in_place(root, "usr/bin/login"), ("file", "/usr/bin/login")),
    "hard link": (lambda root: os.link(root / "usr/bin/passwd", root / "home/p"), ("file", "/usr/bin/passwd")),
    "boot script of cloud-init": (
        write("var/lib/cloud/scripts/per-boot/x.sh"),
        ("file", "/var/lib/cloud/scripts/per-boot/x.sh"),
    ),
    "services of who is not there": (
        write("var/lib/systemd/linger/debian"),
        ("file", "/var/lib/systemd/linger/debian"),
    ),
    "sshd drop-in": (write("etc/ssh/sshd_config.d/x.conf"), ("file", "/etc/ssh/sshd_config.d/x.conf")),
    "udev rule": (write("etc/udev/rules.d/99-x.rules"), ("file", "/etc/udev/rules.d/99-x.rules")),
    "libc shadowed by a link": (
        lambda root: (root / "etc/ld.so.conf.d").symlink_to("/tmp/x"),
        ("file", "/etc/ld.so.conf.d"),
    ),
}


@pytest.mark.parametrize("name", INTRUSIONS)
def test_an_intrusion_after_first_boot_is_reported(root: Path, manifest: Manifest, name: str) -> None:
    boot(root, FIXTURES / BOOTS[0])
    intrude, key = INTRUSIONS[name]
    intrude(root)
    result = check_tree(str(root), manifest)
    assert key in drifted(result)
    assert result.observed != manifest.header.digest


SEALED = {
    "authorized key": "/root/.ssh/authorized_keys",
    "script of user data": "/var/lib/cloud/instances/i-1/scripts/part-001",
    "user data of a seed": "/var/lib/cloud/seed/nocloud/user-data",
    "where modules are loaded from": "/usr/lib/modules/6.1/modules.dep.bin",
    "sudoers": "/etc/sudoers",
    "host key": "/etc/ssh/ssh_host_ed25519_key",
    "sshd_config": "/etc/ssh/sshd_config",
}


@pytest.mark.parametrize("key", SEALED.values(), ids=list(SEALED))
def test_a_change_of_what_first_boot_sets_is_told_with_its_class(root: Path, manifest: Manifest, key: str) -> None:
    """Whether it was before the seal or after it the caller knows; the two looks differ."""
    boot(root, FIXTURES / BOOTS[0])
    before = {change.key: change for change in check_tree(str(root), manifest).changes}
    (root / key.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
    append(root, key.lstrip("/"), "more\n")
    after = {change.key: change for change in check_tree(str(root), manifest).changes}
    assert after[key].path_class == "sealed"
    assert after[key] != before.get(key)


@pytest.mark.parametrize(
    ("command", "attribute"),
    [(["setcap", "cap_net_raw+ep"], "xattr.security.capability"), (["chattr", "+i"], "flags")],
)
def test_capabilities_and_flags_are_seen(root: Path, manifest: Manifest, command: list[str], attribute: str) -> None:
    path = root / "usr/bin/ping"
    need.root()
    need.program(command[0], {"setcap": "libcap2-bin", "chattr": "e2fsprogs"}[command[0]])
    try:
        done = subprocess.run([*command, str(path)], capture_output=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"the file system of {path} takes no {command[0]}")
        (change,) = check_tree(str(root), manifest).changes
    finally:
        subprocess.run(["chattr", "-i", str(path)], capture_output=True, check=False)
    assert change.key == "/usr/bin/ping"
    assert list(change.actual) == [attribute]


def test_the_small_root_has_what_the_fixtures_change() -> None:
    """Otherwise a boot that reports nothing would show nothing."""
    for recorded in BOOTS:
        assert len((FIXTURES / recorded).read_text().splitlines()) > 100

"""Who came to a real machine: sshd, PAM, logind and journald as Debian has them, booted in a container."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil
import pytest

import need
import product
from baked import AS_THE_AGENT
from waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow

PACKAGES: Final = ("systemd-sysv", "dbus", "libpam-systemd", "openssh-server", "rsyslog", "python3")
AGENT: Final = product.PROJECT / "agent"
LOOK: Final = """
import json, time
from threading import Event
from drift_agent.clock import SystemClock
from drift_agent.drift.first_boot import booted_at
from drift_agent.drift.logins import Logins
logins = Logins("/", SystemClock(), since=booted_at(time.time_ns()), allowed=["deploy"])
changes, unreadable = logins.look(Event())
print(json.dumps([[change.key for change in changes], [str(one) for one in unreadable]]))
"""
SSH: Final = ("ssh", "-F", "none", "-i", "/root/key", "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes")


class Machine:
    """A machine that runs: commands in it, as root or as the agent's user."""

    def __init__(self, root: Path, first_process: int) -> None:
        self.root = root
        self._enter = ("nsenter", f"--target={first_process}", "--all", "--")

    def run(self, *command: str, check: bool = True) -> str:
        done = subprocess.run(
            [*self._enter, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def stay(self, *command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*self._enter, *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def logins(self) -> list[str]:
        """What an agent that has just begun sees, from under its capability alone."""
        environment = ("env", "PYTHONPATH=/agent", "PYTHONDONTWRITEBYTECODE=1")
        keys, unreadable = json.loads(self.run(*AS_THE_AGENT, *environment, "python3", "-c", LOOK))
        assert not unreadable
        return sorted(keys)

    def runs(self) -> bool:
        return self.run("systemctl", "is-active", "ssh", "systemd-logind", check=False).split() == ["active"] * 2


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Debian root with a few accounts; in its past somebody logged in: the image's builder."""
    folder = product.make_debian_root(tmp_path_factory.mktemp("machine") / "root", *PACKAGES)
    (folder / "agent").mkdir()
    (folder / "etc/hosts").write_text("127.0.0.1 localhost web\n")
    (folder / "etc/hostname").write_text("web\n")
    script = """
    set -e
    ssh-keygen -q -t ed25519 -N '' -f /root/key
    for user in admin deploy; do useradd --create-home --shell /bin/bash $user; done
    useradd --system driftline
    for home in /root /home/admin /home/deploy; do
        mkdir -p $home/.ssh && cp /root/key.pub $home/.ssh/authorized_keys && chown -R --reference=$home $home/.ssh
    done
    """
    product.run("chroot", str(folder), "sh", "-c", script)
    line = "2024-01-02T03:04:05+00:00 web sshd[7]: Accepted publickey for builder from 203.0.113.7 port 5 ssh2: x\n"
    (folder / "var/log/auth.log").write_text(line)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def machine(root: Path, tmp_path: Path) -> Iterator[Machine]:
    command = [
        need.program("systemd-nspawn", "systemd-container"), "--quiet", f"--directory={root}", "--boot",
        "--register=no", "--keep-unit", "--console=pipe", "--private-network", f"--bind-ro={AGENT}:/agent",
    ]  # fmt: skip
    with (tmp_path / "log").open("wb") as output:
        container = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: bool(psutil.Process(container.pid).children()), what="the machine's first process")
        (first,) = psutil.Process(container.pid).children()
        found = Machine(root, first.pid)
        wait_until(found.runs, what="a machine that people can come to")
        yield found
        first.kill()  # and with it everything that runs there
        container.wait(PATIENCE)
    finally:
        container.kill()
        container.wait()


def test_each_who_came_is_one_login_and_nobody_else_is(machine: Machine) -> None:
    assert machine.logins() == [], "the builder came before this machine's first boot"

    machine.run(*SSH, "admin@127.0.0.1", "true")
    machine.run(*SSH, "-tt", "admin@127.0.0.1", "true")
    machine.run(*SSH, "root@::1", "true")
    machine.run(*SSH, "deploy@127.0.0.1", "true")
    machine.run(*SSH, "-o", "IdentityFile=/dev/null", "nobody@127.0.0.1", "true", check=False)
    machine.run("su", "-", "admin", "-c", "true")
    machine.run("systemd-run", "--quiet", "--wait", "-p", "PAMName=login", "-p", "User=admin", "true")
    forged = "Accepted publickey for mallory from 192.0.2.66 port 4 ssh2: x"
    for options in ("-t sshd", "-p auth.info -t sshd", "-p auth.info -u /run/systemd/journal/syslog -t sshd"):
        machine.run("su", "admin", "-c", f"logger {options} '{forged}'")
    log = machine.root / "var/log/auth.log"
    wait_until(lambda: log.read_text().count("for mallory") == 2, what="the forged lines in auth.log")
    assert machine.logins() == ["admin@127.0.0.1", "root@::1"]

    standing = machine.stay(*SSH, "admin@::1", "sleep", "9999")
    wait_until(lambda: "REMOTE_HOST=::1" in machine.run("sh", "-c", "cat /run/systemd/sessions/*[0-9]", check=False))
    machine.run("sh", "-c", "journalctl --rotate --vacuum-time=1us && rm -f /var/log/auth.log /var/log/wtmp")
    assert "admin@::1" in machine.logins(), "who stands there is seen without any log"
    machine.run("pkill", "sleep")
    standing.wait(PATIENCE)

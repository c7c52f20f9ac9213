"""The role and the playbook, run against a Debian root through the chroot connection, as an image build would."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

import need
import product

ANSIBLE: Final = product.PROJECT / "ansible"
MANIFEST: Final = "usr/lib/driftline/manifest.jsonl"
AS_THE_AGENT: Final = (
    "setpriv", "--reuid=driftline", "--regid=driftline", "--clear-groups", "--no-new-privs",
    "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search",
    "--bounding-set=-all,+dac_read_search",
)  # fmt: skip

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Image:
    """A root tree after two runs of `bake.yml`, with how many tasks changed something in each."""

    root: Path
    changed: tuple[int, ...]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command inside the image."""
        return subprocess.run(["chroot", str(self.root), *command], capture_output=True, text=True, check=False)

    def check(self, *, prefix: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        return self.run(*prefix, "/usr/local/bin/drift", "image", "check", "--root", "/", "--manifest", f"/{MANIFEST}")


def play(root: Path, variables: Path) -> int:
    """Runs `bake.yml`; how many tasks changed something."""
    programs = Path(sys.executable).parent
    output = product.run(
        str(programs / "ansible-playbook"), "--connection", "community.general.chroot", "--inventory", f"{root},",
        "--extra-vars", f"@{variables}", str(ANSIBLE / "bake.yml"),
        ANSIBLE_CONFIG=str(ANSIBLE / "ansible.cfg"), ANSIBLE_NOCOLOR="1",
        ANSIBLE_LOCAL_TEMP=str(variables.parent / "tmp"),
    )  # fmt: skip
    (recap,) = re.findall(r"changed=(\d+) +unreachable=0 +failed=0", output)
    return int(recap)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Iterator[Image]:
    documentation = Path(sys.executable).parent / "ansible-doc"
    known = subprocess.run(
        [documentation, "-t", "connection", "community.general.chroot"], capture_output=True, check=False
    )
    if known.returncode:
        need.absent("the Ansible collection community.general (requirements/peers.txt)")
    folder = tmp_path_factory.mktemp("ansible")
    root = product.make_debian_root(folder / "root", "python3-venv", "adduser")
    python = subprocess.run(
        ["chroot", root, "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    variables = {
        "ansible_become": False,
        "driftline_wheel": str(wheel),
        "driftline_wheelhouse": str(product.download_wheels(folder / "wheelhouse", python)),
        "driftline_image_name": "web",
        "driftline_image_version": 42,
        "driftline_agent": {"group": "web", "tags": {"zone": "a"}},
        "driftline_metrics": {"disable": ["swap"], "disk": {"interval": "30s"}},
        "driftline_outputs": [{"url": "http://127.0.0.1:8086", "token_file": "/run/driftline/token"}],
    }
    file = folder / "variables.json"
    file.write_text(json.dumps(variables))
    yield Image(root, (play(root, file), play(root, file)))
    shutil.rmtree(root)


def test_the_second_run_changes_nothing(image: Image) -> None:
    first, second = image.changed
    assert first > 0
    assert second == 0


def test_the_image_equals_its_manifest(image: Image) -> None:
    checked = image.check()
    assert checked.returncode == 0, checked.stdout
    assert "web@42" in checked.stdout


def test_the_agent_s_user_sees_what_root_baked(image: Image) -> None:
    """With CAP_DAC_READ_SEARCH alone nothing is unreadable, and nothing looks different."""
    checked = image.check(prefix=AS_THE_AGENT)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_whoever_checks_from_outside_finds_the_same(image: Image) -> None:
    drift = Path(sys.executable).parent / "drift"
    product.run(str(drift), "image", "check", "--root", str(image.root), "--manifest", str(image.root / MANIFEST))


def test_a_changed_file_is_found(image: Image) -> None:
    file = image.root / "etc" / "issue"
    before = file.read_bytes()
    file.write_bytes(b"changed\n")
    try:
        checked = image.check()
        assert checked.returncode == 2
        assert "/etc/issue" in checked.stdout
    finally:
        file.write_bytes(before)


def test_the_configuration_is_what_the_variables_say(image: Image) -> None:
    text = (image.root / "etc/driftline/agent.toml").read_text()
    assert tomllib.loads(text) == {
        "agent": {"group": "web", "tags": {"zone": "a"}},
        "metrics": {"disable": ["swap"], "disk": {"interval": "30s"}},
        "outputs": [{"url": "http://127.0.0.1:8086", "token_file": "/run/driftline/token"}],
    }
    assert image.run(*AS_THE_AGENT, "/usr/local/bin/drift-agent", "config", "check").returncode == 0


def test_the_unit_starts_at_boot_and_belongs_to_a_user_of_its_own(image: Image) -> None:
    wanted = image.root / "etc/systemd/system/multi-user.target.wants/driftline-agent.service"
    assert wanted.readlink() == Path("/etc/systemd/system/driftline-agent.service")
    account = image.run("getent", "passwd", "driftline").stdout.split(":")
    assert account[6].strip() == "/usr/sbin/nologin"
    assert 0 < int(account[2]) < 1000


def test_nothing_is_left_of_the_installation(image: Image) -> None:
    assert list((image.root / "tmp").iterdir()) == []
    assert not (image.root / "root" / ".ansible").exists()
    assert not (image.root / "var/lib/driftline/state.db").exists()

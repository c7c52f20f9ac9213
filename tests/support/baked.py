"""A machine image as `ansible/bake.yml` makes it: a Debian root with the agent and its manifest."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import need
import product
from drift_agent.image.sign import keygen

ANSIBLE: Final = product.PROJECT / "ansible"
MANIFEST: Final = "usr/lib/driftline/manifest.jsonl"
AS_THE_AGENT: Final = (
    "setpriv", "--reuid=driftline", "--regid=driftline", "--clear-groups", "--no-new-privs",
    "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search",
    "--bounding-set=-all,+dac_read_search",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Image:
    """A root tree after two runs of `bake.yml`, with how many tasks changed something in each."""

    root: Path
    changed: tuple[int, ...]
    manifests: Path
    """The folder of the trusted copy, with the key that signed it (`key.public`, `key.private`)."""

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


def bake(folder: Path, wheel: Path) -> Image:
    """A Debian root below `folder`, baked twice by the playbook."""
    documentation = Path(sys.executable).parent / "ansible-doc"
    known = subprocess.run(
        [documentation, "-t", "connection", "community.general.chroot"], capture_output=True, check=False
    )
    if known.returncode:
        need.absent("the Ansible collection community.general (requirements/peers.txt)")
    root = product.make_debian_root(folder / "root", "python3-venv", "systemd-sysv", "dbus")
    python = subprocess.run(
        ["chroot", root, "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    manifests = folder / "manifests"
    manifests.mkdir()
    keygen(str(manifests / "key.private"), str(manifests / "key.public"))
    variables = {
        "ansible_become": False,
        "driftline_wheel": str(wheel),
        "driftline_wheelhouse": str(product.download_wheels(folder / "wheelhouse", python)),
        "driftline_image_name": "web",
        "driftline_image_version": 42,
        "driftline_manifests": str(manifests),
        "driftline_signing_key": str(manifests / "key.private"),
        "driftline_command": str(Path(sys.executable).parent / "drift"),
        "driftline_agent": {"group": "web", "report_interval": "2s"},
        "driftline_metrics": {"disable": ["swap"], "disk": {"interval": "30s"}},
        "driftline_outputs": [{"url": "http://127.0.0.1:8086", "token_file": "/run/driftline/token"}],
    }
    file = folder / "variables.json"
    file.write_text(json.dumps(variables))
    return Image(root, (play(root, file), play(root, file)), manifests)

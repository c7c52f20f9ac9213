"""What is installed, made as a release makes it: the wheel, the wheels it needs, and a Debian root to put them in."""

import glob
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Final

import need

PROJECT: Final = Path(__file__).parents[2]
APT_SOURCES: Final = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources")


def run(*command: str, **environ: str) -> str:
    """What the command printed. A failure shows all of it."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **environ}, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}"
    return done.stdout


def build_wheel(folder: Path) -> Path:
    """The wheel of this checkout."""
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(PROJECT))
    (wheel,) = folder.glob("driftline-*.whl")
    return wheel


def download_wheels(folder: Path, python: str) -> Path:
    """All that the wheel needs under that version of CPython (`3.11`), pinned by hash."""
    run(
        sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--only-binary", ":all:",
        "--implementation", "cp", "--python-version", python,
        "--requirement", str(PROJECT / "requirements" / "run.txt"), "--dest", str(folder),
    )  # fmt: skip
    return folder


def make_debian_root(folder: Path, *packages: str) -> Path:
    """A minimal root of this machine's own release, from this machine's own sources."""
    need.root()
    program = need.program("mmdebstrap")
    sources = [path for pattern in APT_SOURCES for path in glob.glob(pattern) if os.path.getsize(path)]
    release = platform.freedesktop_os_release()
    if release.get("ID") != "debian" or not sources:
        need.absent("Debian and its apt sources")
    run(
        program, "--quiet", "--variant=minbase", f"--include={','.join(packages)}",
        release["VERSION_CODENAME"], str(folder), *sources,
    )  # fmt: skip
    return folder

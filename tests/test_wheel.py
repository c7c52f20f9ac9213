"""What is released is what is tested: the wheel, in an environment of its own, without this checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import product

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """The folder of commands of an environment that holds the wheel and the pinned dependencies, and nothing else."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    product.run(sys.executable, "-m", "venv", str(folder))
    pip = str(folder / "bin" / "pip")
    requirements = str(product.PROJECT / "requirements" / "run.txt")
    product.run(pip, "install", "--quiet", "--require-hashes", "--only-binary", ":all:", "--requirement", requirements)
    product.run(pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    product.run(pip, "check")
    return folder / "bin"


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environ, check=False)


@pytest.mark.parametrize("command", ["drift", "drift-agent"])
def test_the_commands_answer(programs: Path, tmp_path: Path, command: str) -> None:
    done = run(tmp_path, str(programs / command), "--help")
    assert done.returncode == 0, done.stderr
    assert f"Usage: {command} " in done.stdout


def test_bake_and_check_find_their_profiles(programs: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "motd").write_text("hello\n")
    manifest = str(tmp_path / "manifest.jsonl")
    drift = str(programs / "drift")
    for profile in ("generic", "debian", "ubuntu", "amazon-linux"):
        baked = run(
            tmp_path,
            drift,
            "image",
            "bake",
            "--root",
            str(root),
            "--image",
            "web",
            "--profile",
            profile,
            "-o",
            manifest,
        )
        assert baked.returncode == 0, baked.stderr
    checked = run(tmp_path, drift, "image", "check", "--root", str(root), "--manifest", manifest)
    assert checked.returncode == 0, checked.stdout


def test_the_agent_prints_a_sample(programs: Path, tmp_path: Path) -> None:
    done = run(tmp_path, str(programs / "drift-agent"), "test")
    assert done.returncode == 0, done.stderr
    assert "\nmem," in "\n" + done.stdout


def test_schemas_profiles_and_type_marks_are_inside(wheel: Path) -> None:
    """Every file that stands beside the code: a forgotten one shows only where there is no checkout."""
    beside = {
        str(path.relative_to(folder))
        for folder in (product.PROJECT / "agent", product.PROJECT / "collector")
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    inside = {name for name in names if not name.endswith(".py") and ".dist-info/" not in name}
    assert inside == beside
    assert {"drift_agent/py.typed", "drift_collector/py.typed"} <= inside


def test_the_package_says_what_it_is(programs: Path, tmp_path: Path) -> None:
    code = "from importlib.metadata import metadata; print(metadata('driftline')['License-Expression'])"
    assert run(tmp_path, str(programs / "python"), "-c", code).stdout.strip() == "MIT"

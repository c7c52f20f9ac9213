"""The suite's policy on slow tests and on what a machine lacks, as `tests/conftest.py` holds it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import need

TESTS: Final = Path(__file__).parents[1]
PLAIN: Final = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
PROBE: Final = """
import need
import pytest


def test_plain(): pass


def test_with_a_program_of_debian(): need.program("no-such-program", "no-such-package")


def test_with_a_program_that_the_environment_names(): need.named("INFLUXD3")


@pytest.mark.slow
def test_slow(): pass


@pytest.mark.xfail(strict=True)
def test_known_to_fail(): raise AssertionError
"""


def run(folder: Path, *arguments: str, **environ: str) -> str:
    """What pytest says of the probe, under this suite's conftest."""
    shutil.copy(TESTS / "conftest.py", folder)
    (folder / "test_probe.py").write_text(PROBE)
    (folder / "pytest.ini").write_text(f"[pytest]\nmarkers = slow: slow\npythonpath = {TESTS / 'support'}\n")
    inherited = {name: value for name, value in os.environ.items() if name not in ("CI", "INFLUXD3")}
    command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", *arguments, str(folder)]
    return subprocess.run(
        command, capture_output=True, text=True, env={**inherited, **PLAIN, **environ}, check=False
    ).stdout


def counts(output: str) -> dict[str, int]:
    last = output.strip().splitlines()[-1]
    return {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", last.partition(" in ")[0])}


def test_slow_tests_are_off_and_what_is_lacking_is_skipped_by_name(tmp_path: Path) -> None:
    output = run(tmp_path)
    assert counts(output) == {"passed": 1, "skipped": 2, "deselected": 1, "xfailed": 1}
    assert "needs the program 'no-such-program' (Debian's package no-such-package)" in output
    assert "INFLUXD3 is not set" in output


def test_in_ci_slow_tests_are_on_and_a_skip_is_a_failure(tmp_path: Path) -> None:
    output = run(tmp_path, CI="true")
    assert counts(output) == {"passed": 2, "failed": 1, "skipped": 1, "xfailed": 1}
    assert "under CI=true a skip is a failure" in output


def test_the_summary_lists_which_named_programs_were_not_there(tmp_path: Path) -> None:
    """In CI all of them, elsewhere those that a test asked for."""
    line = "not tested: {} is not set"
    assert line.format("INFLUXD3") in run(tmp_path)
    output = run(tmp_path, CI="true", INFLUXD2="/bin/true", OPENGEMINI="", TELEGRAF="")
    assert all(line.format(name) in output for name in ("INFLUXD3", "OPENGEMINI", "TELEGRAF"))
    assert line.format("INFLUXD2") not in output


def test_slow_tests_can_be_asked_for(tmp_path: Path) -> None:
    assert counts(run(tmp_path, "--slow"))["passed"] == 2


def test_a_name_that_leads_nowhere_is_a_failure(tmp_path: Path) -> None:
    output = run(tmp_path, INFLUXD3="/no/such/program")
    assert counts(output)["failed"] == 1
    assert "INFLUXD3=/no/such/program: not a program that can be run" in output


def test_a_file_that_skips_itself_is_a_failure_in_ci(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    assert counts(run(tmp_path, CI="true"))["error"] == 1


def test_a_test_that_fails_leaves_no_server_behind(tmp_path: Path) -> None:
    need.program("influxd", "influxdb")
    (tmp_path / "test_other.py").write_text(
        "from servers import Influxd1\n"
        "def test_it(fresh_influxd1: Influxd1) -> None:\n"
        "    print(f'pid={fresh_influxd1.pid} home={fresh_influxd1.home}')\n"
        "    assert False\n"
    )
    found = re.search(r"pid=(\d+) home=(\S+)", run(tmp_path))
    assert found is not None
    assert not Path(f"/proc/{found.group(1)}").exists()
    assert not Path(found.group(2)).exists()

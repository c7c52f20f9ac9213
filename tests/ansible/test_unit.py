"""The unit that the role installs."""

import re
import subprocess
from typing import Final

import need
import product

UNIT: Final = product.PROJECT / "ansible/roles/driftline/files/driftline-agent.service"


def settings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_the_exposure_is_at_most_two() -> None:
    """As `systemd-analyze security` counts it: 0 is best, 10 worst."""
    program = need.program("systemd-analyze", "systemd")
    command = [program, "security", "--offline=true", "--no-pager", str(UNIT)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", output)
    assert found is not None, output
    assert float(found.group(1)) <= 2.0, output


def test_it_has_one_capability_and_a_user_of_its_own() -> None:
    unit = settings()
    assert unit["CapabilityBoundingSet"] == unit["AmbientCapabilities"] == ["CAP_DAC_READ_SEARCH"]
    assert unit["User"] == ["driftline"]


def test_nothing_that_is_compared_or_measured_is_hidden() -> None:
    unit = settings()
    assert unit["ProtectHome"] == ["read-only"]
    hiding = {"ProtectKernelModules", "ProtectProc", "ProcSubset", "PrivateNetwork", "PrivateUsers", "ProtectHostname"}
    assert not hiding & set(unit)
    assert not {"InaccessiblePaths", "TemporaryFileSystem", "RootDirectory"} & set(unit)

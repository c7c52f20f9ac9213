"""Who speaks: from what is configured, else the cloud, else the machine; never late, never malformed."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from drift_agent.config import AgentOptions, Config
from drift_agent.identity import APPLICATION_ID, application_specific, machine_identity, resolve

MACHINE_ID = "0123456789abcdef0123456789abcdef"


def unreachable(method: str, path: str, headers: Mapping[str, str], timeout: float) -> bytes | None:
    raise OSError("no route to host")


def test_the_machines_id_is_systemds_application_specific_one() -> None:
    """Recorded: `SYSTEMD_MACHINE_ID=… systemd-id128 machine-id --app-specific=…` cannot be given an id, so the maths
    is checked against the machine's own where there is one, and its form always."""
    made = application_specific(bytes.fromhex(MACHINE_ID))
    assert len(made) == 32
    assert made[12] == "4"
    assert made[16] in "89ab"
    if shutil.which("systemd-id128") and machine_identity("/"):
        command = ["systemd-id128", "machine-id", f"--app-specific={APPLICATION_ID.hex()}"]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        assert machine_identity("/") == told


def make_root(folder: Path, *, cloud_id: object = None, ec2: bool = False) -> str:
    (folder / "etc").mkdir()
    (folder / "etc/machine-id").write_text(MACHINE_ID + "\n")
    if cloud_id is not None:
        (folder / "run/cloud-init").mkdir(parents=True)
        (folder / "run/cloud-init/instance-data.json").write_text(json.dumps({"v1": {"instance_id": cloud_id}}))
    if ec2:
        (folder / "sys/class/dmi/id").mkdir(parents=True)
        (folder / "sys/class/dmi/id/sys_vendor").write_text("Amazon EC2\n")
    return str(folder)


def test_what_is_configured_goes_first(tmp_path: Path) -> None:
    config = Config(agent=AgentOptions(instance="mine", host="me", group="web"))
    identity = resolve(config, "web@7", fetch=unreachable, root=make_root(tmp_path, cloud_id="i-1"))
    assert (identity.instance, identity.host, identity.group, identity.image) == ("mine", "me", "web", "web@7")
    assert identity.cloud_id == "i-1"


def test_cloud_init_says_the_instance(tmp_path: Path) -> None:
    assert resolve(Config(), fetch=unreachable, root=make_root(tmp_path, cloud_id="i-1")).instance == "i-1"


@pytest.mark.parametrize("bad", ["", "a b", "x" * 129, "line\nfeed", 7, ["i-1"], "naïve"])
def test_a_malformed_cloud_id_is_no_id(tmp_path: Path, bad: object) -> None:
    identity = resolve(Config(), fetch=unreachable, root=make_root(tmp_path, cloud_id=bad))
    assert identity.instance == application_specific(bytes.fromhex(MACHINE_ID))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"v1": []}', b"\xff\xfe", b"[" * 100_000])
def test_malformed_instance_data_is_no_data(tmp_path: Path, content: bytes) -> None:
    root = make_root(tmp_path, cloud_id="i-1")
    (tmp_path / "run/cloud-init/instance-data.json").write_bytes(content)
    assert resolve(Config(), fetch=unreachable, root=root).cloud_id == ""


def test_the_metadata_service_is_asked_under_a_token(tmp_path: Path) -> None:
    asked: list[tuple[str, str, dict[str, str]]] = []

    def fetch(method: str, path: str, headers: Mapping[str, str], timeout: float) -> bytes | None:
        asked.append((method, path, dict(headers)))
        return b"TOKEN" if method == "PUT" else b"i-0abc"

    assert resolve(Config(), fetch=fetch, root=make_root(tmp_path, ec2=True)).instance == "i-0abc"
    assert [(method, path) for method, path, _ in asked] == [
        ("PUT", "/latest/api/token"),
        ("GET", "/latest/meta-data/instance-id"),
    ]
    assert asked[1][2] == {"X-aws-ec2-metadata-token": "TOKEN"}


def test_the_hypervisor_says_it_without_a_network(tmp_path: Path) -> None:
    root = make_root(tmp_path, ec2=True)
    (tmp_path / "sys/class/dmi/id/board_asset_tag").write_text("i-0123456789abcdef0\n")
    assert resolve(Config(), fetch=unreachable, root=root).instance == "i-0123456789abcdef0"


def test_it_is_asked_until_the_network_is_up(tmp_path: Path) -> None:
    """A boot that was answered late must not be another instance than the one before."""
    waited: list[float] = []

    def fetch(method: str, path: str, headers: Mapping[str, str], timeout: float) -> bytes | None:
        if len(waited) < 3:
            raise OSError("network is unreachable")
        return b"TOKEN" if method == "PUT" else b"i-0abc"

    found = resolve(
        Config(),
        fetch=fetch,
        root=make_root(tmp_path, ec2=True),
        deadline=30.0,
        monotonic=lambda: sum(waited),
        wait=waited.append,
    )
    assert found.instance == "i-0abc"
    assert waited == [1.0, 1.0, 1.0]


def test_no_other_machine_asks_the_link_local_address(tmp_path: Path) -> None:
    def fetch(method: str, path: str, headers: Mapping[str, str], timeout: float) -> bytes | None:
        raise AssertionError("asked")

    resolve(Config(), fetch=fetch, root=make_root(tmp_path))


def test_a_service_that_hangs_cannot_hold_it_past_the_deadline(tmp_path: Path) -> None:
    waited: list[float] = []

    def fetch(method: str, path: str, headers: Mapping[str, str], timeout: float) -> bytes | None:
        waited.append(timeout)
        raise TimeoutError("timed out")

    resolve(
        Config(),
        fetch=fetch,
        root=make_root(tmp_path, ec2=True),
        deadline=10.0,
        monotonic=lambda: sum(waited),
        wait=waited.append,
    )
    assert 9.0 <= sum(waited) <= 10.0


def test_the_baked_hostname_tells_nobody_apart(tmp_path: Path) -> None:
    root = make_root(tmp_path, cloud_id="i-1")
    assert resolve(Config(), "", "golden", fetch=unreachable, root=root, hostname="golden").host == "i-1"
    assert resolve(Config(), "", "golden", fetch=unreachable, root=root, hostname="web-3").host == "web-3"
    assert resolve(Config(), "", "golden", fetch=unreachable, root=root, hostname="localhost").host == "i-1"


@pytest.mark.parametrize("text", ["", "uninitialized\n", "0" * 32, "xyz"])
def test_a_machine_id_that_is_none_is_not_used(tmp_path: Path, text: str) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text(text)
    assert machine_identity(str(tmp_path)) == machine_identity("/")

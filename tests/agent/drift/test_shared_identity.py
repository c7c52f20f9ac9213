"""Identities that the image brought along."""

from pathlib import Path

from drift_agent.drift.shared_identity import shared_identities
from drift_agent.image.bake import bake
from drift_agent.image.manifest import Manifest
from drift_agent.image.policy import Policy, Rule

SEALED = Policy.of(
    [Rule("/etc/machine-id", "sealed"), Rule("/etc/ssh/ssh_host_*", "sealed"), Rule("/etc/krb5.keytab", "ignored")]
)


def found(
    folder: Path, files: dict[str, str], *, policy: Policy = SEALED, differing: tuple[str, ...] = ()
) -> list[str]:
    root = folder / "root"
    (root / "etc/ssh").mkdir(parents=True)
    for path, text in files.items():
        (root / path).write_text(text)
    bake(str(root), "web", "", policy, str(folder / "manifest.jsonl"))
    with Manifest.open(str(folder / "manifest.jsonl")) as manifest:
        changes = shared_identities(manifest, {f"/{path}" for path in differing})
    assert {change.kind for change in changes} <= {"identity"}
    return [change.key for change in changes]


FILES = {"etc/machine-id": "0123\n", "etc/ssh/ssh_host_rsa_key": "key", "etc/ssh/ssh_host_rsa_key.pub": "public"}


def test_what_is_still_the_images_is_found(tmp_path: Path) -> None:
    assert found(tmp_path, FILES) == ["/etc/machine-id", "/etc/ssh/ssh_host_rsa_key"]


def test_what_first_boot_made_anew_is_not(tmp_path: Path) -> None:
    assert found(tmp_path, FILES, differing=("etc/machine-id", "etc/ssh/ssh_host_rsa_key")) == []


def test_what_could_not_be_seen_is_not(tmp_path: Path) -> None:
    assert found(tmp_path, FILES, differing=("etc/ssh",)) == ["/etc/machine-id"]


def test_a_placeholder_is_no_identity(tmp_path: Path) -> None:
    assert found(tmp_path, {"etc/machine-id": ""}) == []


def test_an_image_that_freezes_them_means_it(tmp_path: Path) -> None:
    assert found(tmp_path, FILES, policy=Policy.of(())) == []


def test_an_image_without_them_is_fine(tmp_path: Path) -> None:
    assert found(tmp_path, {}) == []

"""Signatures: what was signed verifies, whatever was changed does not, and keys stay where they are."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from drift_agent.errors import DriftlineError, IncompleteError, InputError
from drift_agent.image.sign import keygen, sign, verify


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    (tmp_path / "m").write_bytes(b"manifest\n")
    keygen(str(tmp_path / "key"), str(tmp_path / "key.pub"))
    assert sign(str(tmp_path / "m"), str(tmp_path / "key")) == str(tmp_path / "m.sig")
    return tmp_path


def test_what_was_signed_verifies_with_its_key(signed: Path) -> None:
    assert verify(str(signed / "m"), str(signed / "key.pub")).startswith("SHA256:")


def test_the_private_key_is_its_owners_alone_and_never_overwritten(signed: Path) -> None:
    assert stat.S_IMODE((signed / "key").stat().st_mode) == 0o600
    before = (signed / "key").read_bytes()
    with pytest.raises(InputError, match="never overwritten"):
        keygen(str(signed / "key"), str(signed / "other.pub"))
    assert (signed / "key").read_bytes() == before


def test_half_a_pair_is_not_left_behind(signed: Path) -> None:
    with pytest.raises(InputError, match="never overwritten"):
        keygen(str(signed / "key2"), str(signed / "key.pub"))
    assert not (signed / "key2").exists()


def _other_key(folder: Path) -> None:
    (folder / "key.pub").unlink()
    keygen(str(folder / "key2"), str(folder / "key.pub"))


def _other_signature(folder: Path) -> None:
    (folder / "m").write_bytes(b"other\n")
    sign(str(folder / "m"), str(folder / "key"))
    (folder / "m").write_bytes(b"manifest\n")


@pytest.mark.parametrize(
    "change",
    [lambda folder: (folder / "m").write_bytes(b"manifesT\n"), _other_key, _other_signature],
)
def test_whatever_was_changed_does_not_verify(signed: Path, change: Callable[[Path], object]) -> None:
    change(signed)
    with pytest.raises(IncompleteError, match="does not fit") as error:
        verify(str(signed / "m"), str(signed / "key.pub"))
    assert error.value.exit_code == 3


@pytest.mark.parametrize("name", ["m", "m.sig", "key.pub"])
@pytest.mark.parametrize("content", [None, b"", b"junk", b"driftline-public-key-v1 AAAA", b"\xff" * 9999])
def test_what_is_missing_or_malformed_is_named(signed: Path, name: str, content: bytes | None) -> None:
    (signed / name).unlink()
    if content is not None:
        (signed / name).write_bytes(content)
    with pytest.raises(DriftlineError, match=name if name != "m" or content is None else "does not fit"):
        verify(str(signed / "m"), str(signed / "key.pub"))


def test_a_private_key_in_a_wrong_place_is_not_shown(signed: Path) -> None:
    secret = (signed / "key").read_text().split(" ")[1].strip()
    with pytest.raises(InputError) as error:
        verify(str(signed / "m"), str(signed / "key"))
    assert secret not in str(error.value)

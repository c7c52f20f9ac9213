"""Files that people write, read within bounds."""

from pathlib import Path

import pytest

from drift_agent.errors import ConfigError, InputError
from drift_agent.files import MAX_SECRET_CHARACTERS, parse_toml, read_bounded, read_secret


def test_a_file_within_its_bounds_is_its_text(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("é")
    assert read_bounded(str(tmp_path / "f"), 2, InputError) == "é"


@pytest.mark.parametrize(("raw", "said"), [(b"abc", "is over 2 B"), (b"\xff", "is not UTF-8 at byte 0")])
def test_what_is_not_within_them_is_one_sentence(tmp_path: Path, raw: bytes, said: str) -> None:
    (tmp_path / "f").write_bytes(raw)
    with pytest.raises(ConfigError, match=said):
        read_bounded(str(tmp_path / "f"), 2, ConfigError)


def test_a_file_that_is_not_there_comes_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file or directory; try another"):
        read_bounded(str(tmp_path / "f"), 2, InputError, "; try another")


def test_a_secret_is_the_trimmed_content_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("abc\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_secret("$CREDENTIALS_DIRECTORY/token") == "abc"


def test_the_mark_that_some_editors_put_before_utf_8_is_no_part_of_a_text(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xef\xbb\xbfpass")
    assert read_bounded(str(tmp_path / "f"), 9, InputError) == "pass"
    assert read_secret(str(tmp_path / "f")) == "pass"


def test_a_secret_without_an_end_is_its_beginning() -> None:
    assert read_secret("/dev/zero") == "\0" * MAX_SECRET_CHARACTERS


def test_an_empty_or_missing_secret_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")
    with pytest.raises(ConfigError, match="empty"):
        read_secret(str(tmp_path / "token"))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_secret(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("text", "said"),
    [("a = [", "at end"), ("a = " + "[" * 5000 + "]" * 5000, "too deep"), ("a = " + "9" * 5000, "too many digits")],
)
def test_what_is_no_toml_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"x.toml: not TOML.*{said}"):
        parse_toml(text, "x.toml")

"""No secret leaves in a diff."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.image.redact import REDACTED, holds_key, redact_blocks, redact_line
from effort import LINEAR, growth


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("password = hunter2", "hunter2"),
        ("DB_PASSWORD=hunter two", "two"),
        ('  "api_key": "abc",', "abc"),
        ("psk: letmein", "letmein"),
        ("passwd letmein", "letmein"),
        ("secret => 'x1'", "x1"),
        ("DB_PWD=hunter2", "hunter2"),
        ("bindpw hunter2", "hunter2"),
        ("olcRootPW: hunter2", "hunter2"),
        ("encryption_key=hunter2", "hunter2"),
        ("<password>hunter2</password>", "hunter2"),
        ("userPassword: {SSHA}abcd", "abcd"),
        ("admin {SSHA}abcd", "abcd"),
        ("url = https://user:hun@ter2@example.org/x", "ter2"),
        ("//user:hunter2@files.example/share /mnt cifs", "hunter2"),
        ("url = https://user:hunter2@example.org/x", "hunter2"),
        ("Authorization: Bearer abcdef123", "abcdef123"),
        ("root:$6$salt$abcdefgh:19000:", "abcdefgh"),
        ("key AKIAIOSFODNN7EXAMPLE1", "AKIAIOSFODNN7EXAMPLE1"),
        ("x 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c", "9f86d081884c7d659a2feaa0c55ad015"),
        ("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc", "eyJhbGci"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(line: str, secret: str) -> None:
    assert secret not in redact_line(line)
    assert REDACTED in redact_line(line)


@pytest.mark.parametrize(
    "line",
    [
        "127.0.0.1 localhost",
        "PermitRootLogin no",
        "ExecStart=/usr/lib/systemd/systemd-networkd-wait-online",
        "deb http://deb.example.org/debian bookworm main",
        "net.ipv4.conf.all.accept_redirects = 0",
        "key = value",
        "AuthorizedKeysFile .ssh/authorized_keys",
        "http://example.org:8080/x mail@example.org",
        "",
    ],
)
def test_what_is_plain_configuration_stays(line: str) -> None:
    assert redact_line(line) == line


def test_blocks_of_keys_are_taken_out_line_for_line() -> None:
    lines = ["a", "-----BEGIN CERTIFICATE-----", "MIIB", "AB==", "-----END CERTIFICATE-----", "b"]
    assert redact_blocks(lines) == [lines[0], lines[1], REDACTED, REDACTED, lines[4], lines[5]]


def test_values_that_go_on_below_their_name_are_taken_out() -> None:
    lines = ["db:", "  password: |", "    hunter2", "", "    more", "  user: x", "token = a \\", "  hunter2", "end"]
    found = redact_blocks(lines)
    assert [line.strip() for line in found] == [
        "db:", "password: |", REDACTED, "", REDACTED, "user: x", "token = a \\", REDACTED, "end",
    ]  # fmt: skip


def test_files_that_hold_private_keys_are_known() -> None:
    assert holds_key(b"-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert not holds_key(b"-----BEGIN CERTIFICATE-----\n")


@given(st.text())
def test_any_line_is_taken(line: str) -> None:
    redact_line(line)


@pytest.mark.parametrize("part", ["a", "pass", "a:", "x://", "token ", "eyJ", "$1$"])
def test_no_line_takes_long(part: str) -> None:
    assert growth(lambda count: part * count, redact_line, 10_000) < LINEAR

"""Logins as records hold them; what is malformed is no login, and never an error."""

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.drift.login_records import (
    Login,
    address_of,
    of_service,
    parse_session,
    parse_utmp,
    record_size,
    source_of,
)
from drift_agent.units import SECOND


def utmp(
    user: bytes, line: bytes, host: bytes, seconds: int, *, kind: int = 7, machine: str = "x86_64", address: bytes = b""
) -> bytes:
    """A record as glibc lays it out on a machine."""
    layout = "=h2xi32s4s32s256s4siii16s20s" if machine == "x86_64" else "=h2xi32s4s32s256s4sqqq16s20s4x"
    return struct.pack(layout, kind, 1, line, b"", user, host, b"", 0, seconds, 5, address, b"")


@pytest.mark.parametrize(("machine", "size"), [("x86_64", 384), ("aarch64", 400)])
def test_records_of_both_layouts(machine: str, size: int) -> None:
    assert record_size(machine) == size
    data = b"".join(
        [
            utmp(b"reboot", b"~", b"6.1.0", 100, kind=2, machine=machine),
            utmp(b"LOGIN", b"tty1", b"", 101, kind=6, machine=machine),
            utmp(b"admin", b"pts/0", b"203.0.113.7", 102, machine=machine),
            utmp(b"root", b"tty1", b"", 103, machine=machine),
            utmp(b"admin", b"pts/0", b"", 104, kind=8, machine=machine),
        ]
    )
    assert list(parse_utmp(data + b"cut short", machine)) == [
        Login("admin", "203.0.113.7", "terminal", 102 * SECOND + 5000),
        Login("root", "console", "console", 103 * SECOND + 5000),
    ]


@pytest.mark.parametrize(
    ("host", "line", "source"),
    [
        ("203.0.113.7", "pts/0", "203.0.113.7"),
        ("2001:DB8::7", "pts/0", "2001:db8::7"),
        ("::1", "pts/0", "::1"),
        ("203.0.113.7 via mosh [1234]", "pts/1", "203.0.113.7"),
        ("bastion.example.com", "pts/0", "bastion.example.com"),
        ("UNKNOWN", "pts/0", "console"),
        ("", "tty1", "console"),
        ("", "ttyS0", "console"),
        ("", "pts/0", "console"),
        (":0", "tty2", "console"),
        ("", ":0", "console"),
        ("tmux(1234).%0", "pts/2", None),
        ("203.0.113.7:S.0", "pts/3", None),
        (":pts/0:S.1", "pts/4", None),
        ("", "", None),
        ("203.0.113.7", "ftpd4711", None),
    ],
)
def test_where_a_record_is_from(host: str, line: str, source: str | None) -> None:
    assert source_of(host, line) == source


@pytest.mark.parametrize("address", ["203.0.113.7", "2001:db8::7"])
def test_a_name_in_utmp_stands_beside_its_address(address: str) -> None:
    packed = ipaddress.ip_address(address).packed
    (login,) = parse_utmp(utmp(b"admin", b"pts/0", b"bastion", 9, address=packed), "x86_64")
    assert login.source == address


def test_a_mapped_address_is_the_one_that_it_maps() -> None:
    assert address_of("::ffff:203.0.113.7") == "203.0.113.7"
    assert address_of("bastion") is None
    packed = ipaddress.ip_address("::ffff:203.0.113.7").packed
    (login,) = parse_utmp(utmp(b"admin", b"pts/0", b"bastion", 9, address=packed), "x86_64")
    assert login.source == "203.0.113.7"


@pytest.mark.parametrize(
    ("service", "host", "line", "expected"),
    [
        ("sshd", "203.0.113.7", "ssh", ("203.0.113.7", "ssh")),
        ("sshd", "", "ssh", ("console", "ssh")),
        ("sshd", "", "", ("console", "ssh")),
        ("", "203.0.113.7", "pts/1", ("203.0.113.7", "terminal")),
        ("login", "", "tty1", ("console", "console")),
        ("gdm-password", "", "tty2", ("console", "console")),
        ("login", "", "", None),
        ("su-l", "", "pts/1", None),
        ("sudo-i", "", "", None),
        ("cron", "", "cron", None),
        ("systemd-user", "", "", None),
    ],
)
def test_records_of_services(service: str, host: str, line: str, expected: tuple[str, str] | None) -> None:
    assert of_service(service, "admin", host, line, 9) == (Login("admin", *expected, 9) if expected else None)
    assert of_service(service, "", host, line, 9) is None


def session(**fields: str) -> str:
    """A file of logind about somebody who came over SSH, but for these fields."""
    usual = {"USER": "admin", "CLASS": "user", "SERVICE": "sshd", "REMOTE_HOST": "203.0.113.7", "REALTIME": "7000000"}
    return "# This is private data. Do not parse.\n" + "".join(f"{k}={v}\n" for k, v in {**usual, **fields}.items())


@pytest.mark.parametrize(
    ("fields", "source"),
    [
        ({}, "203.0.113.7"),
        ({"CLASS": "user-early", "USER": "root"}, "203.0.113.7"),
        ({"SERVICE": "login", "REMOTE_HOST": "", "TTY": "tty1"}, "console"),
        ({"SERVICE": "gdm-password", "REMOTE_HOST": "", "VTNR": "2"}, "console"),
        ({"SERVICE": "login", "REMOTE_HOST": ""}, None),
        ({"SERVICE": "su-l", "TTY": "pts/0"}, None),
        ({"SERVICE": "crond", "REMOTE_HOST": ""}, None),
        ({"CLASS": "manager"}, None),
        ({"CLASS": "greeter"}, None),
        ({"CLASS": "background"}, None),
        ({"SERVICE": ""}, None),
        ({"REALTIME": "soon"}, None),
    ],
)
def test_sessions_of_logind(fields: dict[str, str], source: str | None) -> None:
    login = parse_session(session(**fields))
    assert (login and login.source) == source
    if login is not None:
        assert login.at == 7 * SECOND


@given(st.binary(max_size=900))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    list(parse_utmp(data, "x86_64"))
    list(parse_utmp(data, "aarch64"))
    parse_session(data.decode("utf-8", "surrogateescape"))


@given(st.text(), st.text(), st.text(), st.text())
def test_any_text_is_a_service_a_host_or_a_line(service: str, user: str, host: str, line: str) -> None:
    of_service(service, user, host, line, 9)

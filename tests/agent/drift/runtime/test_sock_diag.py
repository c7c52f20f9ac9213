"""What the kernel answers, message by message: listeners, or an error that says that it cannot be read."""

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_agent.drift.runtime.sock_diag import _ANSWER, _answers, _listener

if sys.platform != "linux":
    pytest.skip("sock_diag is Linux's", allow_module_level=True)

DONE = (3, b"\0\0\0\0")
ANSWER = 20
Message = tuple[int, bytes]


class Kernel:
    """Stands for a netlink socket: each read gives one of the blocks."""

    def __init__(self, *blocks: bytes) -> None:
        self._blocks = iter(blocks)

    def recv(self, _: int) -> bytes:
        try:
            return next(self._blocks)
        except StopIteration:
            raise TimeoutError(errno.ETIMEDOUT, "timed out") from None


def message(kind: int, body: bytes) -> bytes:
    """One message, padded to four bytes."""
    return (struct.pack("=IHHII", 16 + len(body), kind, 2, 1, 0) + body).ljust((16 + len(body) + 3) & ~3, b"\0")


def answer(address: str, port: int, *, uid: int = 0, cgroup: int | None = None) -> bytes:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address).ljust(16, b"\0")
    values = (family, 10, 0, 0, port.to_bytes(2, "big"), b"\0\0", packed, bytes(16), 0, 0, 0, 0, 0, 0, uid, 0)
    attribute = b"" if cgroup is None else struct.pack("=HHQ", 12, 21, cgroup)
    return _ANSWER.pack(*values) + struct.pack("=HHI", 5, 8, 1) + attribute


def told(*blocks: bytes) -> Iterator[bytes]:
    return _answers(Kernel(*blocks))  # type: ignore[arg-type]


def test_the_answers_of_a_dump_come_from_one_read_or_from_several() -> None:
    answers = [answer("0.0.0.0", 22), answer("::1", 5353)]
    messages = [message(ANSWER, one) for one in answers]
    assert list(told(b"".join(messages) + message(*DONE))) == answers
    assert list(told(*messages, message(*DONE))) == answers


@pytest.mark.parametrize(
    ("address", "cgroup", "unit"), [("10.0.0.1", 7, "a.service"), ("::1", 8, None), ("::", None, None)]
)
def test_a_listener_has_its_place_its_user_and_the_unit_of_its_control_group(
    address: str, cgroup: int | None, unit: str | None
) -> None:
    listener = _listener("tcp", answer(address, 8443, uid=101, cgroup=cgroup), {7: "a.service"})
    assert (listener.address, listener.port, listener.uid, listener.unit) == (address, 8443, 101, unit)


def test_a_family_that_the_kernel_does_not_have_has_no_listeners() -> None:
    assert list(told(message(2, struct.pack("=i", -errno.ENOENT)))) == []


def test_another_error_of_the_kernel_is_one() -> None:
    with pytest.raises(OSError, match=os.strerror(errno.EPERM)):
        list(told(message(2, struct.pack("=i", -errno.EPERM))))


@given(st.data())
def test_what_is_cut_short_or_garbled_is_an_error_and_nothing_else(data: st.DataObject) -> None:
    whole = message(ANSWER, answer("10.0.0.1", 22, cgroup=7)) + message(2, struct.pack("=i", -1))
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    position, byte = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.binary(min_size=1, max_size=1))
    for block in (cut, whole[:position] + byte + whole[position + 1 :]):
        try:
            for one in told(block, b""):
                _listener("tcp", one, {})
        except (OSError, ValueError):
            continue

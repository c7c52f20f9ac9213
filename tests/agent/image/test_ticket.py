"""A large file on its way: its digest or its error, and its descriptor given back in either case."""

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from drift_agent.image.inspect import BLOCK, ReadStoppedError
from drift_agent.image.ticket import Ticket

SIZE = 2 * BLOCK + 1
XATTR = "user.driftline"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "large").write_bytes(b"x" * SIZE)
    return tmp_path / "large"


def ticket(path: Path, *wanted: str) -> Ticket:
    return Ticket(os.open(path, os.O_RDONLY), SIZE, frozenset(wanted))


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_it_has_the_digest_and_what_was_wanted_of_its_attributes(path: Path) -> None:
    try:
        os.setxattr(path, XATTR, b"value")
    except OSError:
        pytest.skip("this file system keeps no such attributes")
    told: list[int] = []
    with_attributes, without = ticket(path, "xattr"), ticket(path)
    for one in (with_attributes, without):
        one.hash_here(bytearray(BLOCK), told.append)
        assert (one.done, one.error, one.digest) == (True, None, hashlib.sha256(b"x" * SIZE).hexdigest())
    assert with_attributes.attributes == {f"xattr.{XATTR}": hashlib.sha256(b"value").hexdigest()}
    assert without.attributes == {}
    assert sum(told) == 2 * SIZE


def stop(_: int) -> None:
    raise ReadStoppedError


def fail(_: int) -> None:
    raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize(("pace", "error"), [(stop, ReadStoppedError), (fail, OSError)])
def test_an_error_is_kept_for_who_asks_and_the_file_is_closed(
    path: Path, pace: Callable[[int], None], error: type[Exception]
) -> None:
    one = ticket(path)
    descriptor = one.descriptor
    one.hash_here(bytearray(BLOCK), pace)
    assert one.done
    assert isinstance(one.error, error)
    assert one.digest == ""
    assert not is_open(descriptor)


def test_a_file_is_closed_once_though_its_number_is_anothers_by_then(path: Path) -> None:
    one = ticket(path)
    one.close()
    other = os.open(path, os.O_RDONLY)
    one.close()
    assert is_open(other)
    os.close(other)

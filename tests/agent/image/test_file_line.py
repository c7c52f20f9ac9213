"""The lines of files and folders: the short cuts say what the canonical form says, and a rule what it wants."""

import hashlib
import os
import stat

from hypothesis import given
from hypothesis import strategies as st

from drift_agent.image.canonical import decode, encode
from drift_agent.image.file_line import (
    file_line,
    folder_line,
    line,
    plain_file_line,
    xattr_attributes,
    xattr_members,
)
from drift_agent.image.policy import DEFAULT_DECISION, Decision
from drift_agent.image.semantics import ATTRIBUTES
from drift_agent.model import Attributes, Item

KEYS = st.binary(min_size=1).map(lambda name: f"/{os.fsdecode(name.replace(bytes(1), b''))}")
MODES = st.integers(0, 0o7777)
IDS = st.integers(0, 2**32 - 1)
DIGEST = "ab" * 32


def status(mode: int, uid: int = 0, gid: int = 0, nlink: int = 1) -> os.stat_result:
    return os.stat_result((mode, 1, 1, nlink, uid, gid, 0, 0, 0, 0))


@given(KEYS, MODES, IDS, IDS, st.integers(1, 9))
def test_the_most_frequent_lines_are_the_canonical_ones(key: str, mode: int, uid: int, gid: int, nlink: int) -> None:
    common: Attributes = {"mode": f"{mode:04o}", "uid": uid, "gid": gid}
    file = status(stat.S_IFREG | mode, uid, gid, nlink)
    expected = encode(Item("file", key, {"type": "file", **common, "nlink": nlink, "sha256": DIGEST}))
    assert file_line(key, DEFAULT_DECISION, file, {}, DIGEST) == expected
    assert plain_file_line(key, file.st_mode, uid, gid, nlink, DIGEST) == expected
    folder = status(stat.S_IFDIR | mode, uid, gid)
    assert folder_line(key, DEFAULT_DECISION, folder, {}) == encode(Item("file", key, {"type": "dir", **common}))


@given(st.dictionaries(st.binary(min_size=1, max_size=9).map(lambda name: name.replace(b"\0", b"_")), st.binary()))
def test_a_line_that_ends_with_xattrs_is_the_canonical_one(xattrs: dict[bytes, bytes]) -> None:
    said = b"".join(b"user." + name + b"\0" + hashlib.sha256(value).digest() for name, value in xattrs.items())
    file = status(stat.S_IFREG | 0o644)
    attributes = xattr_attributes(said)
    assert attributes == {
        f"xattr.user.{name.decode('utf-8', 'backslashreplace')}": hashlib.sha256(value).hexdigest()
        for name, value in xattrs.items()
    }
    line = plain_file_line("/f", file.st_mode, 0, 0, 1, DIGEST, xattr_members(said))
    assert line == file_line("/f", DEFAULT_DECISION, file, attributes, DIGEST)


@given(st.sets(st.sampled_from(ATTRIBUTES)))
def test_only_what_the_decision_wants_is_in_a_line(wanted: set[str]) -> None:
    decision = Decision(attributes=frozenset(wanted))
    more: Attributes = {"flags": "i", "xattr.user.note": "00"}
    expected: Attributes = {"type": "file", "mode": "4755", "uid": 0, "gid": 0, "nlink": 1, "sha256": DIGEST, **more}
    found = decode(file_line("/f", decision, status(stat.S_IFREG | 0o4755), more, DIGEST)).attributes
    assert found == {
        name: value for name, value in expected.items() if ("xattr" if name.startswith("xattr.") else name) in wanted
    }
    found = decode(folder_line("/d", decision, status(stat.S_IFDIR | 0o755), more)).attributes
    assert set(found) == {name for name in expected if name in found} - {"nlink", "sha256"}


def test_a_link_has_no_mode_a_device_its_numbers_and_what_was_not_read_no_digest() -> None:
    assert decode(line("/l", DEFAULT_DECISION, status(stat.S_IFLNK | 0o777), {"target": "x"})).attributes == {
        "type": "link", "uid": 0, "gid": 0, "target": "x",
    }  # fmt: skip
    null = os.stat("/dev/null")
    assert decode(line("/n", DEFAULT_DECISION, null)).attributes["device"] == "1,3"
    assert "sha256" not in decode(file_line("/f", DEFAULT_DECISION, status(stat.S_IFREG), {}, "")).attributes

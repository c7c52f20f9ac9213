"""What was seen of one entry of a tree → its canonical line. Pure."""

import os
import stat
from functools import lru_cache
from typing import Final

from drift_agent.image import hash_worker
from drift_agent.image.canonical import XATTR, encode, member, string_member
from drift_agent.image.policy import ALL_ATTRIBUTES, Decision
from drift_agent.model import Attributes, AttributeValue, Item

_TYPES: Final = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFBLK: "block",
    stat.S_IFCHR: "char",
}
_NOTHING: Final[Attributes] = {}


def file_line(key: str, decision: Decision, status: os.stat_result, attributes: Attributes, digest: str) -> bytes:
    """The line of a file that was opened; `attributes` are its flags and xattrs. Without a digest it was not read."""
    if digest and not attributes and decision.attributes is ALL_ATTRIBUTES:
        return plain_file_line(key, status.st_mode, status.st_uid, status.st_gid, status.st_nlink, digest)
    return line(key, decision, status, {**attributes, "sha256": digest} if digest else attributes)


def plain_file_line(key: str, mode: int, uid: int, gid: int, nlink: int, digest: str, xattrs: str = "") -> bytes:
    """The most frequent line, without detours: every attribute is wanted, there are no flags, and `xattr_members`."""
    return (
        f'{{"kind":"file",{string_member("key", key)},"type":"file","mode":"{stat.S_IMODE(mode):04o}"'
        f',"uid":{uid},"gid":{gid},"nlink":{nlink},"sha256":"{digest}"{xattrs}}}\n'
    ).encode()


def xattr_attributes(said: bytes) -> dict[str, AttributeValue]:
    """The xattrs that `hash_worker` says, as attributes."""
    return {XATTR + name: digest for name, digest in hash_worker.xattrs_of(said).items()}


@lru_cache(256)  # labels: one for many files
def xattr_members(said: bytes) -> str:
    """The same as they end a line."""
    attributes = xattr_attributes(said)
    return "".join(f",{member(name, attributes[name])}" for name in sorted(attributes))


def folder_line(key: str, decision: Decision, status: os.stat_result, attributes: Attributes) -> bytes:
    """The line of a folder that was opened."""
    if attributes or decision.attributes is not ALL_ATTRIBUTES:
        return line(key, decision, status, attributes)
    return (
        f'{{"kind":"file",{string_member("key", key)},"type":"dir","mode":"{stat.S_IMODE(status.st_mode):04o}"'
        f',"uid":{status.st_uid},"gid":{status.st_gid}}}\n'
    ).encode()


def line(key: str, decision: Decision, status: os.stat_result, more: Attributes = _NOTHING) -> bytes:
    """The line of what its stat says, and `more`; of those attributes that the decision wants."""
    attributes = {**_stat_attributes(status), **more}
    wanted = decision.attributes
    if wanted is not ALL_ATTRIBUTES:
        attributes = {
            name: value for name, value in attributes.items() if ("xattr" if name.startswith(XATTR) else name) in wanted
        }
    return encode(Item("file", key, attributes))


def _stat_attributes(status: os.stat_result) -> dict[str, AttributeValue]:
    """`type`, `mode` (not of links: they have none), `uid`, `gid`, `nlink` of files, `device`."""
    mode = status.st_mode
    kind = _TYPES.get(stat.S_IFMT(mode), "file")
    attributes: dict[str, AttributeValue] = {"type": kind}
    if kind != "link":
        attributes["mode"] = f"{stat.S_IMODE(mode):04o}"
    attributes["uid"] = status.st_uid
    attributes["gid"] = status.st_gid
    if kind == "file":
        attributes["nlink"] = status.st_nlink
    if kind in ("block", "char"):
        attributes["device"] = f"{os.major(status.st_rdev)},{os.minor(status.st_rdev)}"
    return attributes

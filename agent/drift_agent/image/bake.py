"""A tree and a policy → a manifest. Deterministic: no clock is read, and the same tree gives the same bytes."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Final

from drift_agent.errors import ConfigError, IncompleteError, InputError
from drift_agent.image import mounts, osrelease
from drift_agent.image.canonical import UNREADABLE, decode, encode
from drift_agent.image.content import Contents, folder_of
from drift_agent.image.entry import Entry
from drift_agent.image.facts import FACTS, Context, Fact
from drift_agent.image.hashing import Hasher
from drift_agent.image.header import MAX_HEADER_BYTES, Header, is_image_name
from drift_agent.image.inspect import Pace
from drift_agent.image.policy import MAX_RULES, STATE_FOLDER, Decision, Policy
from drift_agent.image.rootfs import RootFiles
from drift_agent.image.scan import PROGRESS_STEP, Progress, Scan
from drift_agent.image.semantics import SEMANTICS
from drift_agent.line_protocol import portable
from drift_agent.model import Item
from drift_agent.units import format_bytes

STATE_FILE: Final = f"{STATE_FOLDER}/state.db"
_SHOWN_UNREADABLE: Final = 5


def bake(
    root: str,
    image: str,
    version: str,
    policy: Policy,
    output: str,
    *,
    built: str | None = None,
    allow_unreadable: bool = False,
    progress: Progress | None = None,
    pace: Pace | None = None,
    image_mounts: Mapping[str, str] | None = None,
    keep_content: bool = False,
) -> Header:
    """Writes the manifest of the tree at `root` to `output`, whole or not at all, and returns its header.

    `image_mounts` are mount points that belong to the image besides those of its fstab, with the types of their file
    systems (or none: empty). With `keep_content`, small text files that every user may read are kept in the folder
    `content` beside `output`. `pace` is told of what is read, in whichever thread; what it raises ends the bake.

    Raises:
        ConfigError: `image` or `version` cannot name an image, or `policy` is larger than a manifest can hold.
        IncompleteError: something could not be read, and `allow_unreadable` is not set.
        InputError: the root cannot be opened, holds the state of an agent that ran, or `output` cannot be written.
    """
    for name, value in (("image", image), ("version", version)):
        if (value or name == "image") and not is_image_name(value):
            raise ConfigError(f"{name} {value!r}: may hold letters, digits and ._/+:-, at most 200")
    _refuse_output(output)
    _refuse_used(root, policy)
    policy = _without_itself(root, policy, output)
    _refuse_large(policy)
    belonging = _image_mounts(root, policy, image_mounts or {})
    boundaries = frozenset(mounts.foreign(mounts.standing(root, policy), belonging))
    contents = Contents(folder_of(output))
    try:
        with (
            Hasher(pace=pace) as hasher,
            Scan(
                root,
                policy,
                boundaries=boundaries,
                hasher=hasher,
                keep=contents.put if keep_content else None,
                pace=pace,
            ) as scan,
            RootFiles(root) as files,
            _body(os.path.dirname(output) or ".", contents if keep_content else None) as body,
        ):
            context = Context(files, image, policy.seals_account)
            writer = _Writer(policy, body, allow_unreadable=allow_unreadable, progress=progress)
            writer.write_files(scan.entries())
            for fact in FACTS:
                if fact.kind in policy.kinds:
                    writer.write_fact(fact, context)
            header = Header(
                image=image,
                version=version,
                policy=policy,
                digest=writer.digest(),
                length=body.tell(),
                counts=writer.counts,
                os=osrelease.os_release(root),
                mounts=belonging,
                not_applicable=tuple(writer.not_applicable),
                hostname=osrelease.hostname(root),
                unreadable=writer.unreadable,
                built=built or "",
            )
            _write(output, header, body)
    except OSError as error:
        raise InputError(f"{error.filename or output}: cannot be written: {error.strerror}") from None
    return header


class _Writer:
    """Writes lines, counts them, and makes the digest on the way."""

    def __init__(self, policy: Policy, body: IO[bytes], *, allow_unreadable: bool, progress: Progress | None) -> None:
        self.counts: dict[str, int] = {}
        self.not_applicable: list[str] = []
        self.unreadable = 0
        self._policy = policy
        self._body = body
        self._allow_unreadable = allow_unreadable
        self._progress = progress
        self._total = hashlib.sha256()

    def digest(self) -> str:
        return f"{SEMANTICS}:sha256:{self._total.hexdigest()}"

    def write_files(self, entries: Iterator[Entry]) -> None:
        refused: list[str] = []
        for entry in entries:
            if entry.error and (entry.late or not self._allow_unreadable):
                refused.append(f"{portable(entry.key)}: {entry.error}")
                if len(refused) > _SHOWN_UNREADABLE:
                    break
                continue
            line = entry.line
            if entry.error:
                line = _marked(decode(line) if line else Item("file", entry.key, {}))
                self.unreadable += 1
            self._write("file", line, entry.decision)
        _refuse_unreadable(refused)

    def write_fact(self, fact: Fact, context: Context) -> None:
        facts = fact.gather(context)
        if facts is None:
            self.not_applicable.append(fact.kind)
            return
        if facts.unreadable and not self._allow_unreadable:
            _refuse_unreadable([f"{portable(key)}: {error}" for key, error in facts.unreadable.items()])
        for item in facts.items:
            decision = self._policy.decide(item.key, item.kind)
            if decision.path_class != "ignored":
                self._write(item.kind, _marked(item) if facts.unreadable else encode(item), decision)

    def _write(self, kind: str, line: bytes, decision: Decision) -> None:
        self._body.write(line)
        if decision.path_class != "sealed":
            self._total.update(line)
        count = self.counts[kind] = self.counts.get(kind, 0) + 1
        if self._progress is not None and count % PROGRESS_STEP == 0:
            self._progress(sum(self.counts.values()))


def _marked(item: Item) -> bytes:
    """The line of an item that could not be read in full."""
    return encode(Item(item.kind, item.key, {**item.attributes, UNREADABLE: True}))


def _refuse_unreadable(refused: list[str]) -> None:
    if refused:
        more = " and more" if len(refused) > _SHOWN_UNREADABLE else ""
        raise IncompleteError(
            f"could not read {'; '.join(refused[:_SHOWN_UNREADABLE])}{more}; bake as root, have a rule ignore it, or"
            " give --allow-unreadable"
        )


def _refuse_output(output: str) -> None:
    if os.path.lexists(output) and not os.path.isfile(output):
        raise InputError(f"{output}: is no regular file: a manifest is written beside it, then renamed; give a file")


def _refuse_large(policy: Policy) -> None:
    """Of a header's bytes half are the policy's, so that whatever else stands there has room too."""
    size = len(json.dumps(policy.to_header()))
    if len(policy.rules) > MAX_RULES or size > MAX_HEADER_BYTES // 2:
        raise ConfigError(
            f"the policy has {len(policy.rules)} rules of {format_bytes(size)}, and a manifest holds {MAX_RULES} of"
            f" {format_bytes(MAX_HEADER_BYTES // 2)}: say it with fewer globs, or with shorter reasons"
        )


@contextmanager
def _body(folder: str, contents: Contents | None) -> Iterator[IO[bytes]]:
    """Where the lines go until the header is known; only now is anything made, for the root is open."""
    if contents is not None:
        contents.create()
    with tempfile.TemporaryFile(dir=folder) as body:
        yield body


def _refuse_used(root: str, policy: Policy) -> None:
    path = root.rstrip("/") + STATE_FILE
    if os.path.lexists(path) and policy.decide("/var/lib").path_class != "ignored":
        raise InputError(
            f"{path}: this root holds the state of an agent that ran; remove it, for it belongs to no image"
        )


def _without_itself(root: str, policy: Policy, output: str) -> Policy:
    """The policy that leaves the manifest out where it lies in the tree that it is of."""
    prefix = os.path.realpath(root).rstrip("/")
    manifest = os.path.join(os.path.realpath(os.path.dirname(output) or "."), os.path.basename(output))
    if not manifest.startswith(f"{prefix}/"):
        return policy
    return policy.leaving_out(manifest[len(prefix) :], folder_of(manifest)[len(prefix) :])


def _image_mounts(root: str, policy: Policy, given: Mapping[str, str]) -> dict[str, str]:
    """The mounts of the image, with types: given, named by its fstab, and for `/` itself those that stand now.

    What is said wins over what stands, and who gives a type over the fstab.
    """
    own: dict[str, str] = {}
    if os.path.realpath(root) == "/":
        own.update((path, mount.type) for path, mount in mounts.standing(root, policy).items())
    own.update(mounts.parse_fstab(osrelease.read_text(root, "/etc/fstab") or ""))
    own.update((path, type_) for path, type_ in given.items() if type_ or path not in own)
    return dict(sorted(own.items()))


def _write(output: str, header: Header, body: IO[bytes]) -> None:
    temporary = f"{output}.tmp"
    with open(temporary, "wb") as file:
        file.write(header.encode())
        body.seek(0)
        shutil.copyfileobj(body, file, 1 << 20)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, output)

"""What is known of an instance: each look is taken in, nothing is forgotten behind the seal, and all is on the disk."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from drift_agent.drift import seal
from drift_agent.drift.knowledge import Knowledge, Look
from drift_agent.drift.state import StateStore
from drift_agent.image.paths import is_within
from drift_agent.model import Change, ChangeKind, Unreadable
from looks import modified

KEY = Change("file", "/etc/ssh/key", "added", "sealed", actual={"sha256": "first"})
CORE = Change("running_sysctl", "kernel.core_pattern", "added", "sealed", actual={"value": "|/usr/bin/collect"})
SOCKET = Change("socket", "tcp 0.0.0.0:22", "added", "sealed", actual={"uid": 0})
SHARED = replace(SOCKET, actual={"owners": "0 / 101 other.service"})
EVE = Change("login", "eve@tty1", "added")


class Desk:
    """Knowledge kept in a folder, its log, and the looks of a test."""

    def __init__(self, folder: Path) -> None:
        self._path = str(folder / "state.db")
        self.log: list[str] = []
        self.informed: list[str] = []
        self.now = 0
        self.start()

    def start(self) -> None:
        self.now += 1
        store = StateStore.open(self._path, "m", "", self.log.append)
        self.known = Knowledge(store, self.log.append, self.now, self.informed.append)

    def restart(self) -> None:
        self.known.close()
        self.start()

    def look(
        self,
        *changes: Change,
        unreadable: tuple[Unreadable, ...] = (),
        covers: Callable[[str, str], bool] = lambda *_: True,
        omitted: Mapping[ChangeKind, int] | None = None,
        settled: bool = False,
    ) -> bool:
        self.now += 1
        look = Look(list(changes), list(unreadable), covers, omitted)
        return self.known.take_in(look, self.now, settled=settled)

    @property
    def open(self) -> set[str]:
        return {key for _, key in self.known.ledger.open}

    @property
    def reverted(self) -> set[str]:
        return {key for _, key in self.known.ledger.reverted}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.known.close()


def below(folder: str) -> Callable[[str, str], bool]:
    return lambda kind, key: kind == "file" and is_within(key, folder)


# ---------------------------------------------------------------------------------------------- looks and latch


def test_a_look_is_on_the_disk_when_it_was_taken_in(desk: Desk) -> None:
    desk.look(KEY, settled=True)
    desk.look(KEY, modified("/a"), modified("/b"))
    desk.look(KEY, modified("/a"))
    desk.known.take_in_logins([EVE], 9)
    before = desk.known
    desk.start()  # the one before was not closed: an agent that was killed
    assert desk.known.ledger == before.ledger
    assert desk.known.memory == before.memory
    assert desk.known.logins == before.logins
    desk.look(modified("/a"))
    assert desk.known.ledger.open["file", KEY.key].change == "removed", "against the seal, which was kept too"


def test_the_first_boot_is_when_nothing_was_known_yet_and_stays(desk: Desk) -> None:
    desk.look(modified("/a"))
    desk.restart()
    assert desk.known.memory.first_boot == 1


def test_before_the_seal_what_is_put_right_is_gone_and_behind_it_reverted(desk: Desk) -> None:
    desk.look(modified("/a"))
    desk.look()
    assert desk.known.changes() == []
    desk.look(modified("/a"), settled=True)
    desk.look()
    (change,) = desk.known.changes()
    assert (change.key, change.change, change.first_seen) == ("/a", "reverted", 4)


def test_taking_in_says_whether_anything_is_other_than_before(desk: Desk) -> None:
    lost = (Unreadable("file", "/b", "no leave"),)
    looks: list[tuple[tuple[Change, ...], tuple[Unreadable, ...], bool]] = [
        ((), (), False),
        ((modified("/a"),), (), True),
        ((modified("/a"),), (), False),
        ((modified("/a", sha256="worse"),), (), True),
        ((modified("/a", sha256="worse"),), lost, True),
        ((modified("/a", sha256="worse"),), lost, False),
        ((), (), True),
    ]
    assert [desk.look(*changes, unreadable=unreadable) for changes, unreadable, _ in looks] == [
        other for *_, other in looks
    ]


# -------------------------------------------------------------------------------------------------------- scope


def test_what_a_look_did_not_cover_stands(desk: Desk) -> None:
    desk.look(modified("/a/x"), modified("/b/x"), unreadable=(Unreadable("file", "/b/y", "no leave"),), settled=True)
    desk.look(covers=below("/a"))
    assert (desk.open, desk.reverted) == ({"/b/x"}, {"/a/x"})
    assert set(desk.known.unreadable) == {("file", "/b/y")}
    desk.look(covers=below("/b"))
    assert (desk.open, desk.reverted) == (set(), {"/a/x", "/b/x"})
    assert desk.known.unreadable == {}


@pytest.mark.parametrize(
    ("unreadable", "held"),
    [
        (Unreadable("file", "/a/x", "no leave"), {"/a/x"}),
        (Unreadable("file", "/a", "no leave"), {"/a/x"}),
        (Unreadable("file", "/", "no leave"), {"/a/x", "/a.b"}),
        (Unreadable("user", "/etc/shadow", "no leave"), {"root"}),
        (Unreadable("group", "/etc/gshadow", "no leave"), set()),
    ],
)
def test_what_cannot_be_read_was_not_put_right_nor_anything_below_it_nor_of_its_kind(
    desk: Desk, unreadable: Unreadable, held: set[str]
) -> None:
    everything = [modified("/a/x"), modified("/a.b"), replace(modified("root"), kind="user")]
    desk.look(*everything, settled=True)
    desk.look(unreadable=(unreadable,))
    assert desk.open == held
    assert desk.reverted == {change.key for change in everything} - held
    desk.look()
    assert desk.open == set()


def test_unreadable_to_a_look_outside_it_is_still_unreadable(desk: Desk) -> None:
    """A hint in a folder that a scan could not read is no sight of what else it holds."""
    desk.look(modified("/a/x"), unreadable=(Unreadable("file", "/a", "no leave"),), settled=True)
    desk.look(covers=below("/a/x"))
    assert desk.open == {"/a/x"}


# -------------------------------------------------------------------------------------------------------- seal


def test_the_seal_is_made_once_of_the_sealed_class_and_said(desk: Desk) -> None:
    assert desk.look(KEY, modified("/a")) is True
    assert (desk.known.memory.sealed, desk.open) == (0, {"/a"})
    assert desk.look(KEY, modified("/a"), settled=True) is True
    assert desk.known.memory.sealed == desk.now
    assert desk.known.memory.seal == seal.digest({("file", KEY.key): KEY})
    assert desk.informed == ["first boot is over: sealed 1 of this instance's items"]
    sealed = desk.known.memory
    other = replace(KEY, actual={"sha256": "second"})
    desk.look(other, settled=True)
    assert desk.known.memory == sealed
    assert desk.known.ledger.open["file", KEY.key].expected == {"sha256": "first"}
    assert len(desk.informed) == 1


@pytest.mark.parametrize(
    ("sealed", "then", "open_keys"),
    [
        ([SOCKET], [], set()),
        ([], [SOCKET], {SOCKET.key}),
        ([SHARED], [SOCKET], set()),
        ([SOCKET], [SHARED], {SOCKET.key}),
        ([CORE], [], set()),
        ([CORE], [replace(CORE, actual={"value": "|/tmp/x"})], {CORE.key}),
        ([], [CORE], {CORE.key}),
        ([], [Change("manifest", "/m", "added", "sealed", actual={"sha256": "aa"})], set()),
        ([replace(KEY, kind="manifest")], [], {KEY.key}),
    ],
    ids=[
        "a service stops",
        "a service starts",
        "one of two stops",
        "another joins one",
        "a service has not yet said what the kernel runs",
        "the kernel runs another program",
        "the kernel runs a program",
        "a seal of an older version",
        "the manifest goes",
    ],
)
def test_a_service_may_stop_and_an_old_seal_does_not_hold_the_manifest(
    desk: Desk, sealed: list[Change], then: list[Change], open_keys: set[str]
) -> None:
    desk.look(*sealed, settled=True)
    desk.look(*then)
    assert desk.open == open_keys


# ---------------------------------------------------------------------------------------- counts, logins, notes


def test_what_is_not_kept_is_counted_and_said_once_until_all_is_kept_again(desk: Desk) -> None:
    desk.look(modified("/a"), omitted={"modified": 3, "added": 2})
    desk.look(modified("/a"), modified("/b"), omitted={"modified": 2})
    assert (desk.known.count("modified"), desk.known.count("added")) == (4, 0)
    assert desk.log == ["5 items differ beyond the 1 that are kept"]
    desk.look(modified("/a"), omitted=None, covers=below("/a"))
    assert desk.known.count("modified") == 4, "a look at some paths knows nothing of the others"
    desk.look(modified("/a"), omitted={})
    desk.look(modified("/a"), omitted={"removed": 1})
    assert (desk.known.count("modified"), desk.known.count("removed")) == (1, 1)
    assert len(desk.log) == 2


def test_a_login_is_taken_in_once_and_for_good(desk: Desk) -> None:
    assert desk.known.take_in_logins([EVE], 7)
    assert not desk.known.take_in_logins([EVE], 8)
    desk.look(settled=True)
    desk.restart()
    assert not desk.known.take_in_logins([replace(EVE, actual={"again": True})], 9)
    assert desk.known.changes() == [replace(EVE, first_seen=7)]
    assert not desk.known.differs


def test_a_note_is_listed_and_counted_nowhere_and_logged_when_it_is_new(desk: Desk) -> None:
    first, second = (Change("identity", key, "modified", "sealed") for key in ("/etc/machine-id", "/etc/key"))
    desk.known.note([first], 7)
    desk.known.note([first, second], 8)
    assert {change.key for change in desk.known.changes()} == {first.key, second.key}
    assert not desk.known.differs
    assert desk.known.count("modified") == 0
    assert [line.split()[0] for line in desk.log] == [first.key, second.key]
    desk.known.note([], 9)
    assert desk.known.changes() == []


# ----------------------------------------------------------------------------------------------- a disk that fails


def test_a_disk_that_fails_is_said_once_and_gets_everything_when_it_is_well_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store that comes next holds what went by meanwhile, the drift that was put right too."""
    desk.look(KEY, settled=True)

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr(StateStore, "_write", fail)
        desk.look(KEY, modified("/a"), modified("/b"))
        desk.look(KEY, modified("/b"))
        desk.known.take_in_logins([EVE], 7)
    assert [line for line in desk.log if "disk I/O error" in line] == desk.log[:1]
    assert len(desk.log) == 1
    desk.known.write(desk.known.memory)
    desk.restart()
    assert (desk.open, desk.reverted, list(desk.known.logins)) == ({"/b"}, {"/a"}, [("login", EVE.key)])
    desk.look(KEY, modified("/b"))
    assert desk.open == {"/b"}, "the seal is whole"


def test_a_seal_that_the_disk_does_not_take_is_none(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr(StateStore, "_write", fail)
        desk.look(KEY, settled=True)
    assert (desk.known.memory.sealed, desk.known.memory.seal, desk.informed) == (0, "", [])
    desk.look(KEY, settled=True)
    assert desk.known.memory.sealed == desk.now

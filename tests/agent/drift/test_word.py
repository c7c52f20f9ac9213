"""What may be said of what is known, as far as the manifest and the last scan bear it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from drift_agent.drift.check_result import CheckResult
from drift_agent.drift.knowledge import Knowledge, Look
from drift_agent.drift.state import StateStore
from drift_agent.drift.word import Word
from drift_agent.model import Change, Unreadable
from looks import FakeComparison, modified

IMAGE = FakeComparison()
MOTD = modified("/etc/motd")


class Desk:
    """A word on knowledge that a test fills."""

    def __init__(self, folder: Path) -> None:
        self.known = Knowledge(StateStore.open(str(folder / "state.db"), "m", ""), lambda _: None, 1)
        self.word = Word(self.known)

    def know(self, *changes: Change, unreadable: tuple[Unreadable, ...] = (), settled: bool = False) -> None:
        self.known.take_in(Look(list(changes), list(unreadable), lambda *_: True), 2, settled=settled)

    def scan(self, *changes: Change, observed: str = IMAGE.digest) -> None:
        self.know(*changes)
        self.word.compares_with(IMAGE)
        self.word.scanned(CheckResult(list(changes), 7, [], [], observed, 0.5), 9)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.known.close()


def test_nothing_is_said_to_be_known_before_the_first_scan(desk: Desk) -> None:
    desk.know(MOTD)
    assert desk.word.state() == "pending"
    desk.word.cannot_compare("no manifest")
    assert desk.word.state() == "unverified"
    desk.scan(MOTD)
    assert desk.word.state() == "drifted"


def test_drift_leads_over_a_login_and_a_login_over_what_cannot_be_read(desk: Desk) -> None:
    desk.scan()
    states = [desk.word.state()]
    desk.know(unreadable=(Unreadable("file", "/x", "denied"),))
    states.append(desk.word.state())
    desk.known.take_in_logins([Change("login", "eve@tty1", "added")], 3)
    states.append(desk.word.state())
    desk.know(MOTD)
    states.append(desk.word.state())
    assert states == ["clean", "unverified", "tainted", "drifted"]


def test_a_problem_is_news_once_and_leaves_no_digest_until_there_is_a_manifest_again(desk: Desk) -> None:
    desk.scan()
    assert [desk.word.cannot_compare(text) for text in ("gone", "gone", "cut short")] == [True, False, True]
    assert (desk.word.state(), desk.word.basis(degraded=False).manifest) == ("unverified", "")
    assert desk.word.status()["problem"] == "cut short"
    desk.scan()
    assert (desk.word.state(), desk.word.basis(degraded=True).manifest) == ("clean", IMAGE.digest)


def test_what_the_last_scan_saw_otherwise_must_be_confirmed_by_a_scan(desk: Desk) -> None:
    desk.scan(MOTD, observed="1:sha256:other")
    assert not desk.word.must_be_confirmed(IMAGE)
    desk.know()
    assert desk.word.must_be_confirmed(IMAGE)
    assert (desk.word.state(), desk.word.basis(degraded=False).observed) == ("pending", "")
    desk.know(MOTD)
    assert (desk.word.state(), desk.word.basis(degraded=False).observed) == ("drifted", "1:sha256:other")
    desk.scan()
    assert (desk.word.state(), desk.word.basis(degraded=False).observed) == ("clean", IMAGE.digest)
    assert not desk.word.must_be_confirmed(IMAGE)

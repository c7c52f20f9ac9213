"""An honest agent shows no sign of a wiped memory, whatever happens to its host, and in any order of arrival."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from drift_collector.store import open_store
from drift_collector.store.base import DriftReport
from drift_collector.store.sqlite_write import SqliteWriter
from reports import NOW, SECOND, report
from stores import checked, lines

HAPPENINGS = ("report", "report", "restart", "kill", "reboot", "clock", "seal", "drift", "revert", "login", "end")


@dataclass
class Agent:
    """What an agent keeps in its memory, and the clock of its host."""

    time: int = NOW - 9000 * SECOND
    seq: int = 0
    sealed: int = 0
    boot: int = 1
    scanned: bool = False
    open: bool = False
    reverted: bool = False
    login: bool = False
    said: list[DriftReport] = field(default_factory=list)

    def happens(self, what: str, seconds: int) -> None:
        self.time += abs(seconds) * SECOND
        if what == "clock":
            self.time += 60 * seconds * SECOND
        elif what in ("restart", "kill", "reboot", "end"):
            if what != "kill":
                self.say({"end": "terminated", "reboot": "terminated"}.get(what, "stopped"))
            self.boot += what in ("reboot", "end")
            self.scanned = False
        elif what == "drift":
            self.open = True
        elif what == "revert":
            self.reverted |= self.open and self.sealed > 0
            self.open = False
        elif what == "login":
            self.login = True
        else:
            self.scanned = True
            if what == "seal" and not self.sealed:
                self.sealed = self.time
        self.say(self.state())

    def state(self) -> str:
        if not self.scanned:
            return "pending"
        return "drifted" if self.open or self.reverted else "tainted" if self.login else "clean"

    def say(self, state: str) -> None:
        self.seq += 1
        self.time += 1
        self.said.append(
            report(
                time=self.time,
                seq=self.seq,
                state=state,
                sealed=self.sealed,
                seal="s" if self.sealed else "",
                boot_id=f"b{self.boot}",
                modified=int(self.open),
                reverted=int(self.reverted),
                logins=int(self.login),
            )
        )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(HAPPENINGS), st.integers(-90, 90)), max_size=25),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_an_honest_agent_shows_no_sign_in_any_order_of_arrival(
    happenings: list[tuple[str, int]], batches: int, random: Any
) -> None:
    agent = Agent()
    for what, seconds in happenings:
        agent.happens(what, seconds)
    arriving = [*agent.said, *random.sample(agent.said, len(agent.said) // 2)]
    random.shuffle(arriving)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "store.db")
        writer = SqliteWriter(str(path))
        for batch in range(batches):
            writer.write(checked(lines(arriving[batch::batches])))
        store = open_store(f"sqlite://{path}", {})
        assert [found.resets for found in store.newest(0, 2**62)] == [()] * bool(agent.said)
        store.close()
        writer.close()

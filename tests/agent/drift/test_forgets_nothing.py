"""Whatever happens to a machine, and however it is noticed: behind the seal nothing that was seen is forgotten."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import make_detector, said
from drift_agent.config import AgentOptions, Config, ImageOptions
from drift_agent.model import Point
from fakes import FakeClock
from looks import FakeComparison, modified

PATHS = ["/etc/a", "/etc/b", "/usr/c"]
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.sampled_from(PATHS), st.sampled_from("xyz")),
        st.tuples(st.just("restore"), st.sampled_from(PATHS), st.just("")),
        st.tuples(st.just("hint"), st.sampled_from(PATHS), st.just("")),
        st.tuples(st.sampled_from(["scan", "restart", "crash", "lost"]), st.just(""), st.just("")),
    ),
    max_size=25,
)


class Machine:
    """A machine, its agent, and beside it what an agent that never forgets would know."""

    def __init__(self, folder: str) -> None:
        self.clock = FakeClock()
        self.image = FakeComparison()
        self.points: list[Point] = []
        self.world: dict[str, str] = {}
        self.seen: set[str] = set()
        self.config = Config(AgentOptions(state_dir=folder), ImageOptions(root=folder, watch=False))
        self.start()
        self.scan()

    def start(self) -> None:
        self.detector = make_detector(self.config, lambda: self.image, self.clock, self.points.extend)

    def scan(self) -> None:
        self.clock.advance(901.0)
        self.detector.step()
        self.seen |= self.world.keys()

    def happen(self, event: str, path: str, value: str) -> None:
        dirty = self.detector._hints._dirty
        if event == "change":
            self.world[path] = value
        elif event == "restore":
            self.world.pop(path, None)
        elif event == "hint":
            dirty.mark(path)
            self.clock.advance(0.25)
            self.detector.step()
            self.seen |= {path} & self.world.keys()
        elif event == "lost":
            dirty.mark_everything()
            self.clock.advance(2.0)
            self.detector.step()
            self.clock.advance(2.0)
            self.detector.step()
            self.seen |= self.world.keys()
        elif event == "scan":
            self.scan()
        else:  # a crash closes nothing
            if event == "restart":
                self.detector.close()
            self.start()
            self.scan()
        self.image.changes = [modified(path, sha256=value) for path, value in self.world.items()]


@settings(deadline=None, max_examples=60)
@given(EVENTS)
def test_what_was_seen_is_open_or_reverted_and_what_is_so_now_is_open(events: list[tuple[str, str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(folder)
        for event in events:
            machine.happen(*event)
        machine.scan()
        ledger = machine.detector._knowledge.ledger
        assert {change.key: change.actual["sha256"] for change in ledger.open.values()} == machine.world
        assert {key for _, key in (*ledger.open, *ledger.reverted)} == machine.seen
        seqs = [point.fields["seq"] for point in said(machine.points)]
        reports = [point.fields["report"] for point in said(machine.points)]
        assert seqs == list(range(1, len(seqs) + 1))
        assert reports == sorted(reports)
        times = [point.time for point in machine.points if point.measurement == "drift_item"]
        assert len(times) == len(set(times)), "two items never share a time"
        assert Path(folder, "state.db").exists()
        machine.detector.close()

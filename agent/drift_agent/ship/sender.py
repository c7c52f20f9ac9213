"""What one output sends next, and what it does with the answer: one step at a time, no thread of its own.

Drift leaves at once; the other lanes at each flush, newest first, until nothing waits. Of an answer becomes:

acknowledged        leaves the spool
lines named         those go to the dead letters, the rest is acknowledged or sent again
body at fault       halved (suspects.py), down to the line, once it is known that others pass
too large           smaller bodies from here on
refused             everything waits 30 s, with one line in the log, or until the token's file changes
later               everything waits: what the server asks for, and full jitter from 1 s to 1 min
"""

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from drift_agent.clock import Clock
from drift_agent.config import OutputOptions
from drift_agent.model import Lane
from drift_agent.ship.answers import Acked, BadBody, Later, NamedLines, Refused, SomeDropped, TooLarge
from drift_agent.ship.dead_letter import DeadLetters
from drift_agent.ship.output import Sent
from drift_agent.ship.pace import Numbers, Pace
from drift_agent.ship.spool import Spool
from drift_agent.ship.suspects import Group, Suspects, whole

LOG: Final = logging.getLogger("driftline.ship")

BODY_LINES: Final = 5_000
BODY_BYTES: Final = 1 << 20
_MIN_BODY_BYTES: Final = 4 << 10
_POISON_FAILURES: Final = 3
"""How often a lone line fails while others pass before it is condemned, and a body before others are tried."""
_MAX_BLAMED: Final = 4
_MAX_BARREN: Final = 40
"""Refused bodies in a row without one that passed, after which the fault is not looked for in the lines."""


class Destination(Protocol):
    """What a sender needs of an `Output`."""

    @property
    def options(self) -> OutputOptions: ...

    def send(self, body: Sequence[bytes], lines: Callable[[], Sequence[bytes]]) -> Sent: ...

    def secret_changed(self) -> bool: ...


class Sender:
    """Drives one output. `step` does one thing and says how long nothing is to be done; it is for one thread."""

    def __init__(
        self,
        spool: Spool,
        output: Destination,
        dead_letters: DeadLetters,
        clock: Clock,
        *,
        flush_interval: float,
        flush_phase: float,
        rng: random.Random | None = None,
    ) -> None:
        """What waits leaves every `flush_interval`, at the moment `flush_phase` within it (s)."""
        self._spool = spool
        self._output = output
        self._dead = dead_letters
        self._clock = clock
        self._label = output.options.label
        self._pace = Pace(self._label, clock, rng or random.Random())  # noqa: S311 (jitter, no secret)
        self._interval = flush_interval
        self._flush_at = clock.monotonic() + (flush_phase - clock.time_ns() / 1e9) % self._interval
        self._todo: list[Lane] = list(output.options.lanes)[:1]
        self._suspects = Suspects()
        self._blamed: list[Group] = []
        self._acks = 0
        self._barren = 0
        self._body_bytes = self._largest_body = BODY_BYTES
        self._backfill_at = 0.0

    def drift_waits(self) -> None:
        """There is something in the drift lane: it leaves with the next step."""
        if "drift" in self._output.options.lanes and "drift" not in self._todo:
            self._todo.insert(0, "drift")

    def flush_now(self) -> None:
        """Everything that waits leaves with the next steps."""
        self._todo = list(self._output.options.lanes)
        self._backfill_at = 0.0
        self._pace.hurry()

    @property
    def failing(self) -> bool:
        """Whether the last exchange did not go well."""
        return self._pace.failing

    @property
    def numbers(self) -> Numbers:
        """What was counted since the start."""
        return self._pace.numbers

    def step(self) -> float:
        """Sends at most one body. Returns the seconds after which the next step is due, 0.0 for at once."""
        now, rest = self._clock.monotonic(), self._pace.rest()
        if rest and not (self._pace.refused and self._output.secret_changed()):
            return rest
        if now >= self._flush_at:
            self._flush_at += self._interval * (1 + (now - self._flush_at) // self._interval)
            self._todo = list(self._output.options.lanes)
        group = self._choose(now)
        if group is None:
            due = self._flush_at if not self._todo else min(self._flush_at, max(self._backfill_at, now))
            return max(0.0, due - now)
        sent = self._output.send(group.body(), group.lines)
        self.numbers.write_ns = round(sent.seconds * 1e9)
        match sent.outcome:
            case Acked():
                self._on_ack(group)
            case NamedLines(reasons, stored):
                self._on_named(group, reasons, stored)
            case SomeDropped(count, reason):
                self._on_some_dropped(group, count, reason)
            case BadBody(reason):
                self._on_bad_body(group, reason)
            case TooLarge(reason):
                self._on_too_large(group, reason)
            case Refused(reason):
                self._pace.refuse(reason)
            case Later() as later:
                self._on_later(group, later)
        return self._pace.rest()

    # ------------------------------------------------------------------------------------------------ what to send

    def _choose(self, now: float) -> Group | None:
        if group := self._suspects.ready(self._acks):
            return group
        blamed = {batch.id for group in self._blamed for batch in group.batches()}
        probing = self._pace.failures >= _POISON_FAILURES and bool(blamed)
        skip = {*self._suspects.ids, *(blamed if probing else ())}
        for lane in list(self._todo):
            batches = self._spool.take(self._label, lane, 1 if probing else BODY_LINES, self._body_bytes, skip)
            if not batches:
                if not probing:
                    self._todo.remove(lane)
                continue
            if lane != "drift" and now < self._backfill_at and self._is_old(batches[0].made):
                continue
            return whole(reversed(batches))
        if probing:
            return self._blamed[-1]
        return self._suspects.next_in_turn() if self._pace.failing else None

    def _is_old(self, made: int) -> bool:
        return self._clock.time_ns() - made > 2e9 * self._interval

    # -------------------------------------------------------------------------------------- what becomes of a group

    def _passed(self) -> None:
        """The server took something: it is well, and what it refused before has no such excuse."""
        self._pace.passed()
        self._acks += 1
        self._barren = 0
        # After trouble bodies begin small: a slow line or a server that has just come up is not met with a megabyte.
        self._body_bytes = min(self._largest_body, 2 * self._body_bytes)
        for group in self._blamed:
            group.mark = self._acks - 1
            group.tried = True
        self._suspects.add(self._blamed)
        self._blamed = []

    def _on_ack(self, group: Group) -> None:
        self._blamed = [blamed for blamed in self._blamed if not _share(blamed, group)]
        self._passed()
        self.numbers.written += group.count
        rate = self._output.options.backfill_rate
        if rate and group.lane != "drift" and self._is_old(group.batches()[0].made):
            self._backfill_at = self._clock.monotonic() + group.count / rate
        self._close(group)

    def _close(self, group: Group) -> None:
        """Every line of `group` is stored or condemned."""
        done = self._suspects.remove(group) if group in self._suspects.groups else group.batches()
        self._spool.ack(self._label, done)

    def _replace(self, group: Group, parts: list[Group]) -> None:
        if group in self._suspects.groups:
            self._spool.ack(self._label, self._suspects.replace(group, parts))
            return
        self._suspects.add(parts)
        self._spool.ack(self._label, [batch for batch in group.batches() if batch.id not in self._suspects.ids])

    def _condemn(self, reasons: Mapping[bytes, str], count: int) -> None:
        self.numbers.rejected += count
        self._dead.add(self._label, reasons, self._clock.time_ns())
        reason = next(iter(reasons.values()))
        LOG.error("output %s: never takes these %d lines, now in the dead letters: %s", self._label, count, reason)

    def _on_named(self, group: Group, reasons: Mapping[bytes, str], stored: bool) -> None:
        rest = group.without(reasons)
        self._condemn(reasons, group.count - (rest.count if rest else 0))
        if stored or rest is None:
            if rest is not None:
                self._passed()
                self.numbers.written += rest.count
            self._close(group)
            return
        self._replace(group, [rest])

    def _on_some_dropped(self, group: Group, count: int, reason: str) -> None:
        if count >= group.count:
            self._condemn(dict.fromkeys(group.lines(), reason), group.count)
            self._close(group)
            return
        self._passed()  # the others are stored, and stored once more without harm while the bad ones are looked for
        self._replace(group, group.halves(self._acks))

    def _on_bad_body(self, group: Group, reason: str) -> None:
        self._barren += 1
        if self._barren > _MAX_BARREN:
            self._pace.refuse(f"{reason}; it takes nothing that is sent: check database, bucket, org and url")
            return
        self._pace.note(reason)
        if group.count > 1:
            self._replace(group, group.halves(self._acks))
        elif self._acks > group.mark and group in self._suspects.groups:
            self._on_guilt(group, reason)
        else:
            self._set_aside(group)

    def _on_too_large(self, group: Group, reason: str) -> None:
        self._pace.note(reason)
        size = sum(map(len, group.body()))
        self._body_bytes = self._largest_body = max(_MIN_BODY_BYTES, min(self._largest_body, size) // 2)
        if group.count > 1:
            if len(group.pieces) == 1 or group in self._suspects.groups or size <= self._body_bytes:
                self._replace(group, group.halves(self._acks))
            return
        self._on_bad_body(group, reason)

    def _on_later(self, group: Group, later: Later) -> None:
        suspect = group in self._suspects.groups
        if suspect and later.body_may_be_at_fault and self._acks > group.mark:
            self._pace.note(later.reason)
            self._on_guilt(group, later.reason)
            return
        if suspect:
            self._set_aside(group)
        self._pace.fail(later.reason, later.retry_after)
        self._body_bytes = max(_MIN_BODY_BYTES, self._body_bytes // 2)
        if later.body_may_be_at_fault and not suspect and self._pace.failures >= _POISON_FAILURES:
            self._blamed = [*[blamed for blamed in self._blamed if not _share(blamed, group)], group][-_MAX_BLAMED:]

    def _on_guilt(self, group: Group, reason: str) -> None:
        """`group` was refused while others pass."""
        if group.count > 1:
            self._replace(group, group.halves(self._acks))
            return
        self._set_aside(group)
        group.failures += 1
        if group.failures >= _POISON_FAILURES:
            self._condemn(dict.fromkeys(group.lines(), reason), group.count)
            self._close(group)

    def _set_aside(self, group: Group) -> None:
        """Not tried again before something else has passed."""
        if group not in self._suspects.groups:
            self._suspects.add([group])
        group.tried = True
        group.mark = self._acks


def _share(one: Group, other: Group) -> bool:
    """Whether they hold lines of the same batch."""
    ids = {batch.id for batch in one.batches()}
    return any(batch.id in ids for batch in other.batches())

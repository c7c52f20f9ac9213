"""Access logs → counts of an interval: requests and bytes by log, verb, status and route, and their times."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Final

from drift_agent.logs.access_format import AccessFormat
from drift_agent.logs.handler import OTHER, Counts, SeriesLimit
from drift_agent.logs.lines import Chunk
from drift_agent.logs.stamps import Stamps
from drift_agent.model import FieldValue, Point

VERBS: Final = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"CONNECT", b"TRACE"})
BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
MAX_ROUTE_CACHE: Final = 10_000
MAX_TIMES: Final = 100_000

Key = tuple[bytes, bytes, str]


class Routes:
    """`route = regular expression`: the first that is found at the beginning of a path, else `other`."""

    def __init__(self, routes: Mapping[str, str]) -> None:
        """Raises re.error."""
        self._routes = [(name, re.compile(pattern.encode())) for name, pattern in routes.items()]
        self._known: dict[bytes, str] = {}

    def __bool__(self) -> bool:
        return bool(self._routes)

    def of(self, target: bytes) -> str:
        """The route of a request's target; what stands behind `?` is not looked at."""
        path = target.partition(b"?")[0]
        route = self._known.get(path)
        if route is None:
            route = next((name for name, pattern in self._routes if pattern.match(path)), OTHER)
            if len(self._known) >= MAX_ROUTE_CACHE:  # paths are the clients' to make up
                self._known.clear()
            self._known[path] = route
        return route


def _count_lines(data: bytes) -> int:
    """Lines that hold something; where none is blank, without looking at each."""
    if data.startswith(b"\n") or b"\n\n" in data:
        return sum(1 for line in data.split(b"\n") if line)
    return data.count(b"\n") + (not data.endswith(b"\n"))


class AccessLog:
    """One section of access logs."""

    def __init__(self, name: str, form: AccessFormat, routes: Routes, counts: Counts, stamps: Stamps) -> None:
        self._name = name
        self._form = form
        self._routes = routes
        self._counts = counts
        self._stamps = stamps
        self._limit = SeriesLimit(counts)
        self._logs: dict[str, _Log] = {}

    def feed(self, chunk: Chunk, now_ns: int) -> None:
        """Takes every line of `chunk` in; the time of the lines is the interval in which they are read."""
        del now_ns
        log = self._logs.setdefault(self._name or chunk.log, _Log())
        rows = self._form.pattern.findall(chunk.data)
        lines = _count_lines(chunk.data)
        self._counts.lines += lines
        self._counts.unparsed += lines - len(rows)
        log.take(rows, self._form, self._routes)

    def points(self, now_ns: int) -> list[Point]:
        points: list[Point] = []
        for name, log in self._logs.items():
            points.extend(self._points_of(name, log, self._stamps.next(now_ns)))
        self._logs = {}
        return points

    def _points_of(self, name: str, log: "_Log", stamp: int) -> Iterator[Point]:
        series: dict[tuple[str, ...], _Sum] = {}
        for (verb, status, route), (requests, sent) in log.sums.items():
            known = verb.decode() if verb in VERBS else "OTHER"
            key = self._limit.admit((name, known, f"{status.decode()}xx" if status else "none", route))
            one = series.setdefault(key, _Sum())
            one.requests += requests
            one.bytes += sent
            one.times += log.times.get((verb, status, route), [])
        by_route: dict[tuple[str, str], list[float]] = {}
        for key, one in series.items():
            values: dict[str, FieldValue] = {"requests": one.requests, "bytes": one.bytes}
            if one.times:
                values |= percentiles(one.times)
                by_route.setdefault((key[0], key[3]), []).extend(one.times)
            yield Point("access", dict(zip(("log", "verb", "status", "route"), key, strict=True)), values, stamp)
        for (log_name, route), times in by_route.items():
            for bound, requests in histogram(times):
                tags = {"log": log_name, "route": route, "le": bound}
                yield Point("access_time", tags, {"requests": requests}, stamp)


class _Sum:
    __slots__ = ("bytes", "requests", "times")

    def __init__(self) -> None:
        self.requests = 0
        self.bytes = 0
        self.times: list[float] = []


class _Log:
    """The sums of one log's interval, by the bytes of the lines: decoding waits until the end."""

    def __init__(self) -> None:
        self.sums: dict[Key, list[int]] = {}
        self.times: dict[Key, list[float]] = {}
        self._kept = 0

    def take(self, rows: Sequence[tuple[bytes, ...]], form: AccessFormat, routes: Routes) -> None:
        verb_at, path_at, status_at, bytes_at, time_at = form.places
        sums, route = self.sums, OTHER
        routed = bool(routes)
        for row in rows:
            verb = row[verb_at]
            if verb not in VERBS:
                verb = b""
            if routed:
                route = routes.of(row[path_at])
            key = (verb, row[status_at], route)
            found = sums.get(key)
            if found is None:
                found = sums[key] = [0, 0]
            found[0] += 1
            sent = row[bytes_at]
            if sent.isdigit():
                found[1] += int(sent[:18])
            if form.timed and self._kept < MAX_TIMES:
                self._take_time(key, row[time_at])

    def _take_time(self, key: Key, text: bytes) -> None:
        if text and text != b"-":
            self._kept += 1
            self.times.setdefault(key, []).append(float(text[:18]))


def percentiles(times: Sequence[float]) -> dict[str, FieldValue]:
    """`time_p50`, `time_p95`, `time_p99`: the smallest time that so many percent of the requests took at most."""
    ordered = sorted(times)
    return {f"time_p{part}": ordered[ceil(len(ordered) * part / 100) - 1] for part in (50, 95, 99)}


def histogram(times: Sequence[float]) -> Iterator[tuple[str, int]]:
    """Bounds with the number of times up to them, those above 0; `+Inf` holds all."""
    ordered = sorted(times)
    for bound in BOUNDS:
        count = bisect_right(ordered, bound)
        if count:
            yield f"{bound:g}", count
    yield "+Inf", len(times)

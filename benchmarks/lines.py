"""Lines a second on one core: encoding points, and taking in logs of each format.

    python benchmarks/lines.py [--lines 50000]

The best of five runs of processor time. Beside each stands how it compares with the plainest thing that could be done
with the same bytes in Python: splitting each line at its spaces.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable
from typing import Final

from drift_agent.config import LogOptions
from drift_agent.line_protocol import Encoder
from drift_agent.logs.field_types import FieldTypes
from drift_agent.logs.handler import Handler
from drift_agent.logs.lines import Chunk
from drift_agent.logs.section import FileSection, make_section
from drift_agent.logs.stamps import Stamps
from drift_agent.model import Point

NOW: Final = 1_795_410_089_000_000_000
CHUNK: Final = 256 << 10
LIMITS: Final = {"encode": 200_000, "nginx-combined": 150_000}
COMBINED: Final = (
    '10.0.{}.7 - - [23/Nov/2026:05:{:02}:29 +0000] "{} /path/{}?q={} HTTP/1.1" {} {} "https://a.example/{}" '
    '"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"'
)


def access_lines(count: int) -> list[str]:
    chance = random.Random(1)
    return [
        COMBINED.format(
            number % 256, number % 60, chance.choice(["GET", "GET", "POST", "HEAD"]), number % 997, number,
            chance.choice([200, 200, 301, 404, 500]), number * 7, number,
        )
        for number in range(count)
    ]  # fmt: skip


def json_lines(count: int) -> list[str]:
    return [
        f'{{"ts": "2026-11-23T05:01:29.{number % 1000:03}Z", "level": "info", "ms": {number % 97}.5, '
        f'"user": {{"id": {number}, "name": "somebody"}}, "message": "request {number} done"}}'
        for number in range(count)
    ]


def syslog_lines(count: int) -> list[str]:
    return [f"Nov 23 05:01:{number % 60:02} web1 app[{number % 99}]: request {number} done" for number in range(count)]


def error_lines(count: int) -> list[str]:
    return [f"2026/11/23 05:01:{number % 60:02} [error] 7#8: *{number} open() failed" for number in range(count)]


def best(work: Callable[[], object], runs: int = 5) -> float:
    """Seconds of processor time."""
    found = []
    for _ in range(runs):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found)


def take_in(options: LogOptions, data: bytes) -> Callable[[], object]:
    chunks = []
    begin = 0
    while begin < len(data):
        end = data.find(b"\n", begin + CHUNK) + 1 or len(data)
        chunks.append(Chunk(data[begin:end], begin, 0, "bench"))
        begin = end

    def work() -> None:
        section = make_section(options, 0, "", {}, Stamps(), FieldTypes())
        assert isinstance(section, FileSection)
        handler: Handler = section.handler
        for chunk in chunks:
            handler.feed(chunk, NOW)
        assert handler.points(NOW)

    return work


def encode(count: int) -> Callable[[], object]:
    encoder = Encoder({"host": "web-1", "image": "web@1"})
    fields = {"a": 1.25, "b": 98.48024316109422, "c": 12, "d": 24653709312, "e": 0.0, "f": 7}
    points = [Point("cpu", {"cpu": f"cpu{number % 8}"}, dict(fields), NOW + number) for number in range(count)]
    return lambda: [encoder.line(point) for point in points]


def main() -> int:
    """Prints a line for each; 1 where a limit is not reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=50_000)
    count = parser.parse_args().lines
    access = access_lines(count)
    logs = {
        "nginx-combined": (LogOptions(path="x", format="nginx-combined"), access),
        "nginx-combined-time": (
            LogOptions(path="x", format="nginx-combined-time", routes={"a": "/path/1", "b": "/path/[2-5]"}),
            [f"{line} 0.{number % 1000:03}" for number, line in enumerate(access)],
        ),
        "json": (LogOptions(path="x", format="json", time_key="ts", tags=("level",)), json_lines(count)),
        "syslog": (LogOptions(path="x", format="syslog"), syslog_lines(count)),
        "nginx-error": (LogOptions(path="x", format="nginx-error"), error_lines(count)),
    }
    missed = []
    rates = {"encode": (count / best(encode(count)), 0.0)}
    for name, (options, lines) in logs.items():
        data = ("\n".join(lines) + "\n").encode()
        plain = best(lambda data=data: [line.split() for line in data.split(b"\n")])  # type: ignore[misc]
        spent = best(take_in(options, data))
        rates[name] = count / spent, spent / plain
    for name, (rate, ratio) in rates.items():
        beside = f"   {ratio:.1f} x splitting at spaces" if ratio else "   3 tags, 6 fields"
        print(f"{name:20} {rate:12,.0f} lines/s{beside}")
        if rate < LIMITS.get(name, 0):
            missed.append(f"{name}: {rate:,.0f} < {LIMITS[name]:,} lines/s")
    for miss in missed:
        print(f"under the limit: {miss}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

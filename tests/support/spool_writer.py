"""A small agent for tests that kill it: puts numbered points into a spool and ships them, until it is killed.

    python spool_writer.py STATE_DIR URL DATABASE FIRST LAST

Each number is written to `STATE_DIR/put` once its point is in the spool. With FIRST > LAST it only sends what waits,
and ends with 0 when nothing does.
"""

import os
import sys
import time
from pathlib import Path

from drift_agent.clock import SystemClock
from drift_agent.config import OutputOptions, SpoolOptions
from drift_agent.ship.shipper import Shipping
from drift_agent.ship.spool import Spool
from waiting import PATIENCE

T0 = 1_700_000_000_000_000_000


def line(number: int) -> str:
    """The point of a number; its time is the number's own."""
    return f"kill value={number}i {T0 + number}"


def main(folder: Path, url: str, database: str, first: int, last: int) -> int:
    outputs = [OutputOptions(url=url, database=database)]
    spool = Spool.open(folder / "spool.db", SpoolOptions(), outputs, SystemClock())
    shipping = Shipping(spool, outputs, 0.02, "i-1", SystemClock())
    shipping.start()
    with (folder / "put").open("ab", buffering=0) as put:
        for number in range(first, last, 5):
            if spool.put({"metrics": [line(n) for n in range(number, number + 5)]}, offsets={"n": b"%d" % number}):
                put.write(b"".join(b"%d\n" % n for n in range(number, number + 5)))
            time.sleep(0.001)
    drained = shipping.stop(2 * PATIENCE)
    spool.close()
    return 0 if drained else 1


if __name__ == "__main__":
    os.nice(5)
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))

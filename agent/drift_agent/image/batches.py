"""Files looked at many at a time: by a process beside the walk while it keeps up, else here.

The walk gives a file and goes on; what was seen of it comes later, in the order in which files were given.
"""

import os
from array import array
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final, TypeAlias

from drift_agent.image import inspect
from drift_agent.image.entry import Entry, OpenFolder
from drift_agent.image.hash_helper import HashHelper
from drift_agent.image.hash_worker import BATCH, MAX_BYTES, OPEN, RECORD, UNSEEN, WHOLE, look_at

START_AFTER: Final = 500
"""Files that are given before the process starts: a rescan that has little to look at starts none."""

Record: TypeAlias = tuple[int, int, int, int, int, int, int, int, int, int, int, bytes]
"""A `hash_worker.RECORD`."""

Settle: TypeAlias = Callable[[OpenFolder, Entry, Record | None, bytes, int], None]
"""Given what was seen of one file (None: nothing; whatever stands there is to be looked at by itself) with its xattrs,
its folder, open meanwhile, and its descriptor where that was left open (else -1), which is the callee's then."""


class Batch:
    """Files of some folders on their way. The folders' descriptors are its own."""

    __slots__ = ("counts", "folders", "names", "waiting")

    def __init__(self) -> None:
        self.folders: list[OpenFolder] = []
        self.counts = array("H")
        self.names: list[bytes] = []
        self.waiting: list[Entry] = []

    def close(self) -> None:
        """Gives the folders back."""
        for folder in self.folders:
            os.close(folder.descriptor)
        self.folders.clear()


class Batches:
    """Used by one thread. `settle` is told of each file; `pace` of what was read.

    Where it is `alone` it does without the process, and `pace` may wait: nothing is read ahead of it but one batch.
    """

    def __init__(self, settle: Settle, pace: inspect.Pace | None = None, *, alone: bool = False) -> None:
        self._alone = alone
        self._settle = settle
        self._pace = pace
        self._given = -START_AFTER
        self._helper = HashHelper()
        self._buffer = memoryview(bytearray(MAX_BYTES))
        self._batch = Batch()
        self._last: OpenFolder | None = None
        self._sent: deque[Batch] = deque()
        self._go_on = self.go_on

    def give(self, folder: OpenFolder, name: str, entry: Entry) -> None:
        """Takes the file `name` of an open folder; the entry is unfinished from now on.

        Raises:
            OSError: too many files are open.
            ReadStoppedError: `pace` said so.
        """
        batch = self._batch
        if self._last is not folder:
            batch.folders.append(folder.held_by(os.dup(folder.descriptor)))
            batch.counts.append(0)
            self._last = folder
        batch.counts[-1] += 1
        batch.names.append(os.fsencode(name))
        batch.waiting.append(entry)
        entry.unfinished = self._go_on
        if len(batch.names) == BATCH:
            self._dispatch()

    def go_on(self) -> None:
        """Waits until the files of at least one more batch were seen, the oldest one.

        Raises:
            ReadStoppedError: `pace` said so.
        """
        if self._sent:
            self._receive(wait=True)
        else:
            self._look_here(self._taken())

    def close(self) -> None:
        """Ends the process and gives up what nobody asked for any more."""
        self._helper.close()
        for batch in (*self._sent, self._batch):
            batch.close()
        self._sent.clear()

    def _dispatch(self) -> None:
        self._given += len(self._batch.names)
        if self._given > 0 and not self._alone:
            self._helper.start()
        while self._sent and self._receive(wait=False):  # which `pace` may end: nothing is in our hands meanwhile
            pass
        batch = self._taken()
        folders = [folder.descriptor for folder in batch.folders]
        if self._helper.has_room and self._helper.send(folders, batch.counts, batch.names):
            self._sent.append(batch)
        else:
            self._look_here(batch)

    def _taken(self) -> Batch:
        batch, self._batch, self._last = self._batch, Batch(), None
        return batch

    def _receive(self, *, wait: bool) -> bool:
        answer = self._helper.receive(wait=wait)
        if answer is None and self._helper.is_running:
            return False
        batch = self._sent.popleft()
        if answer is None or not (answer[1] or any(answer[0])):  # it sees nothing where a capability is ours alone
            self._look_here(batch)
        else:
            self._seen(batch, *answer)
        return True

    def _look_here(self, batch: Batch) -> None:
        folders = [folder.descriptor for folder in batch.folders]
        self._seen(batch, *look_at(folders, batch.counts, batch.names, self._buffer))

    def _seen(self, batch: Batch, answer: bytes, left_open: list[int]) -> None:
        begin = RECORD.size * len(batch.names)
        found = list(RECORD.iter_unpack(answer[:begin])) if len(answer) >= begin else []
        if len(answer) != begin + sum(record[1] for record in found):
            found = list(RECORD.iter_unpack(UNSEEN * len(batch.names)))
        descriptors = iter(left_open)
        try:
            if self._pace is not None:
                self._pace(sum(record[8] for record in found if record[0] & WHOLE))
            of_file = zip(batch.waiting, found, strict=True)
            for folder, count in zip(batch.folders, batch.counts, strict=True):
                for entry, record in islice(of_file, count):
                    entry.unfinished = None
                    xattrs = answer[begin : (begin := begin + record[1])]
                    descriptor = next(descriptors, -1) if record[0] & OPEN else -1
                    known = record[0] == WHOLE or descriptor >= 0
                    self._settle(folder, entry, record if known else None, xattrs, descriptor)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
            batch.close()

"""The journal on disk: one thread writes what the event loop hands over, in batches, and reads for `why`.

A batch is what gathers within LINGER seconds, or sooner when BATCH records wait: the larger it is, the less each
record costs (14 µs in batches of 1,000, twice that in batches of 400, because the index is dirtied all over). The loop pays for a put into a
queue; encoding, indexing and the disk are the thread's. What the disk does not take is dropped and counted.
"""

import asyncio
import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

from notqmail.config import JournalSection
from notqmail.journal import key
from notqmail.ports import Clock
from notqmail.system.journal_file import JournalFile, broken, set_aside

BATCH: Final = 4000  # records
LINGER: Final = 0.25  # seconds
PRUNE: Final = 3600.0  # seconds of silence after which the retention is looked after
RECIPIENTS: Final = 10  # of waiting records, for each record of the backlog: bounds the memory

_log = logging.getLogger("notqmail.journal")

Record = Mapping[str, Any]
_Request = tuple[Callable[[JournalFile], Any], "Future[Any]"]


class SqliteJournal:
    """ports.Journal. The thread starts with the first use, so after privileges are dropped."""

    def __init__(self, path: Path, section: JournalSection, clock: Clock) -> None:
        self._path, self._section, self._clock = path, section, clock
        self._hurry = min(BATCH, section.backlog // 2)
        self._queue: SimpleQueue[Record | _Request | None] = SimpleQueue()
        self._full = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._ended: Future[None] = Future()
        self._given = 0  # recipients of all records; the thread counts those it `_taken`
        self._taken = 0
        self._refused = 0
        self._lost = 0
        self._file: JournalFile | None = None
        self._ailing = False

    @property
    def dropped(self) -> int:
        """Records that were dropped: too many waiting, or not taken by the disk."""
        return self._refused + self._lost

    def write(self, record: Record) -> None:
        waiting = self._queue.qsize()
        given = self._given + len(record.get("to", ()))
        backlog = self._section.backlog
        if waiting >= backlog or given - self._taken > backlog * RECIPIENTS or self._closed:
            self._refused += 1
            return
        self._given = given
        self._queue.put(record)
        if waiting == self._hurry:
            self._full.set()
        elif self._thread is None:
            self._start()

    async def find(self, ref: str, limit: int = 50) -> Sequence[Record]:
        """Give what is known by a queue id, reference, Message-ID, address or IP, newest first. Raises
        sqlite3.Error when the file cannot be read."""
        since = self._clock.now() - self._section.retention
        found = await self._ask(lambda file: file.find(key(ref), limit, since))
        return list(found)

    async def flush(self) -> None:
        """Wait until all that was written before is in the file, or lost."""
        await self._ask(lambda _: None)

    async def close(self) -> None:
        """Write what waits and close the file."""
        if not self._closed and self._thread is not None:
            self._queue.put(None)
            self._full.set()
            self._closed = True
            await asyncio.shield(asyncio.wrap_future(self._ended))
        self._closed = True

    async def _ask(self, question: Callable[[JournalFile], Any]) -> Any:
        if self._closed:
            raise sqlite3.ProgrammingError("the journal is closed")
        answer: Future[Any] = Future()
        self._queue.put((question, answer))
        self._full.set()
        if self._thread is None:
            self._start()
        return await asyncio.wrap_future(answer)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    # From here on: the thread.

    def _run(self) -> None:
        while True:
            try:
                first = self._queue.get(timeout=PRUNE)
            except Empty:
                self._attempt(lambda file: file.prune(self._clock.now()))
                continue
            self._full.wait(LINGER)
            self._full.clear()
            if not self._work(first):
                break
        try:
            if self._file is not None:
                self._file.close()
        finally:
            self._ended.set_result(None)

    def _work(self, item: Record | _Request | None) -> bool:
        """Work off what waits, beginning with `item`; give False at the end of all."""
        batch: list[Record] = []
        while item is not None:
            if isinstance(item, tuple):
                self._save(batch)
                self._answer(item)
            else:
                batch.append(item)
                if len(batch) >= BATCH:
                    self._save(batch)
            try:
                item = self._queue.get_nowait()
            except Empty:
                self._save(batch)
                return True
        self._save(batch)
        return False

    def _save(self, batch: list[Record]) -> None:
        if not batch:
            return
        bad = self._attempt(lambda file: file.add(batch, self._clock.now()))
        self._lost += len(batch) if bad is None else bad
        self._taken += sum(len(record.get("to", ())) for record in batch)
        batch.clear()

    def _answer(self, request: _Request) -> None:
        question, answer = request
        if not answer.set_running_or_notify_cancel():
            return
        try:
            answer.set_result(question(self._open()))
        except Exception as error:
            answer.set_exception(error)

    def _open(self) -> JournalFile:
        if self._file is None:
            self._file = JournalFile(self._path, self._section.retention, self._section.size)
        return self._file

    def _attempt(self, action: Callable[[JournalFile], int | None]) -> int | None:
        """Do something with the file; give None when it failed. Nothing may end the thread."""
        try:
            result = action(self._open())
        except Exception as error:
            self._suffer(error)
            return None
        if self._ailing:
            self._ailing = False
            _log.warning("journal works again dropped=%d", self.dropped)
        return result

    def _suffer(self, error: Exception) -> None:
        """Say so once, until it works again. A file that is damaged is put aside and begun anew; any other is kept
        open, because what is in it can still be read."""
        if not self._ailing:
            self._ailing = True
            known = isinstance(error, sqlite3.Error | OSError)
            _log.error("journal fails path=%s", self._path, exc_info=None if known else error)
            _log.error("journal fails error=%s", error)
        if isinstance(error, sqlite3.Error) and broken(error):
            if self._file is not None:
                self._file.close()
                self._file = None
            with contextlib.suppress(OSError):  # somebody has taken it away already
                set_aside(self._path)

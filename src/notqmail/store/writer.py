"""The writer: one thread with the one connection that writes. Operations that arrive together commit together.

An operation is a function of the connection. The thread takes what waits (up to BATCH), runs all of it in one
transaction (store/commits.py) and wakes the event loop once for the whole batch, after the commit has reached the
disk: a sync costs milliseconds on real disks and is shared by everybody who waits for it.
"""

import asyncio
import logging
import threading
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar

from notqmail.mail.errors import SpoolError
from notqmail.store.commits import BATCH, Commits, Op, resolve
from notqmail.store.database import Database

log = logging.getLogger(__name__)

T = TypeVar("T")


class Writing(Protocol):
    """Runs operations on the queue's database, in order, until `close`. `Writer` does it in a thread."""

    @property
    def trouble(self) -> SpoolError | None:
        """Why the last batch failed, None when it did not."""

    def submit(
        self, run: Callable[[Database], T], unclaimed: Callable[[T], None] | None = None
    ) -> "Future[T]":
        """Queue an operation. The future ends after the commit: with the result, or with SpoolError. When the
        future was cancelled meanwhile, `unclaimed` gets the result of what was done all the same."""

    async def close(self) -> None:
        """Finish what is queued, then close the connection."""


class Writer:
    """Runs operations on `database`, in order, from its construction until `close`."""

    def __init__(self, database: Database, loop: AbstractEventLoop) -> None:
        self._database, self._commits = database, Commits(database)
        self._loop = loop
        self._queue: SimpleQueue[Op | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._main, name="store-writer", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> SpoolError | None:
        return self._commits.trouble

    def submit(
        self, run: Callable[[Database], T], unclaimed: Callable[[T], None] | None = None
    ) -> "Future[T]":
        if self._closed:
            raise SpoolError("the queue is closed")
        future: Future[T] = self._loop.create_future()
        self._queue.put(Op(run, future, unclaimed))
        return future

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)

    def _main(self) -> None:
        more = True
        while more:
            batch, more = self._collect()
            if batch:
                self._wake(batch, self._commits.commit(batch))
        self._database.close()

    def _collect(self) -> tuple[list[Op], bool]:
        """Wait for an operation and take what else is there; False: it is the last batch."""
        batch: list[Op] = []
        op = self._queue.get()
        try:
            while op is not None:
                batch.append(op)
                if len(batch) == BATCH:
                    return batch, True
                op = self._queue.get_nowait()
        except Empty:
            return batch, True
        return batch, False

    def _wake(self, batch: Sequence[Op], results: Sequence[Any]) -> None:
        try:
            self._loop.call_soon_threadsafe(resolve, batch, results)
        except RuntimeError:  # the loop is gone, and with it everybody who waited
            log.warning("the event loop ended before the store was closed")

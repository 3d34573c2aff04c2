"""The writer: one thread with the one connection that writes. Operations that arrive together commit together.

An operation is a function of the connection. The thread takes what waits (up to BATCH), runs all of it in one
transaction and wakes the event loop once for the whole batch, after the commit has reached the disk: a sync
costs milliseconds on real disks and is shared by everybody who waits for it.

An operation that raises SpoolError must have changed nothing; its neighbours go on. Should one fail half-way
(a database error, a bug), the transaction is rolled back and each is run again behind its own savepoint, so
that only the culprit fails. Hence an operation may run twice and must do nothing but use the connection.
"""

import asyncio
import logging
import sqlite3
import threading
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

from notqmail.mail.errors import SpoolError
from notqmail.store.database import Database, trouble

log = logging.getLogger(__name__)

BATCH = 256  # operations in one transaction
T = TypeVar("T")


class Op(NamedTuple):
    """Something to do, who waits for it, and what to do with the result when nobody waits any more."""

    run: Callable[[Database], Any]
    future: Future[Any]
    unclaimed: Callable[[Any], None] | None


class Writer:
    """Runs operations on `database`, in order, from its construction until `close`."""

    def __init__(self, database: Database, loop: AbstractEventLoop) -> None:
        self._database = database
        self._loop = loop
        self._queue: SimpleQueue[Op | None] = SimpleQueue()
        self._closed = False
        self.trouble: SpoolError | None = None  # why the last batch failed, None when it did not
        self._thread = threading.Thread(target=self._main, name="store-writer", daemon=True)
        self._thread.start()

    def submit(
        self, run: Callable[[Database], T], unclaimed: Callable[[T], None] | None = None
    ) -> "Future[T]":
        """Queue an operation. The future ends after the commit: with the result, or with SpoolError. When the
        future was cancelled meanwhile, `unclaimed` gets the result of what was done all the same."""
        if self._closed:
            raise SpoolError("the queue is closed")
        future: Future[T] = self._loop.create_future()
        self._queue.put(Op(run, future, unclaimed))
        return future

    async def close(self) -> None:
        """Finish what is queued, then close the connection."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)

    def _main(self) -> None:
        more = True
        while more:
            batch, more = self._collect()
            if batch:
                self._wake(batch, self._commit(batch))
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

    def _commit(self, batch: Sequence[Op]) -> list[Any]:
        """Give one result or exception for each operation, all of them on disk."""
        try:
            results = self._together(batch)
            self.trouble = None
            return results
        except sqlite3.IntegrityError:  # one of them is to blame, not the disk
            pass
        except sqlite3.Error as error:
            return self._failed(batch, error)
        except Exception:
            log.exception("store operation failed")
        try:
            return self._one_by_one(batch)
        except sqlite3.Error as error:
            return self._failed(batch, error)

    def _together(self, batch: Sequence[Op]) -> list[Any]:
        database = self._database
        try:
            database.execute("BEGIN IMMEDIATE")
            results = [_refusable(op, database) for op in batch]
            database.execute("COMMIT")
            return results
        finally:
            self._roll_back()

    def _one_by_one(self, batch: Sequence[Op]) -> list[Any]:
        database = self._database
        results: list[Any] = []
        try:
            database.execute("BEGIN IMMEDIATE")
            for op in batch:
                database.execute("SAVEPOINT op")
                try:
                    results.append(_refusable(op, database))
                except Exception as error:
                    database.execute("ROLLBACK TO op")
                    results.append(trouble(error) if isinstance(error, sqlite3.Error) else error)
                database.execute("RELEASE op")
            database.execute("COMMIT")
            return results
        finally:
            self._roll_back()

    def _roll_back(self) -> None:
        if self._database.in_transaction:  # not when SQLite has rolled back by itself
            self._database.execute("ROLLBACK")

    def _failed(self, batch: Sequence[Op], error: sqlite3.Error) -> list[Any]:
        self.trouble = trouble(error)
        log.error("queue cannot be written: %s", self.trouble)
        return [trouble(error) for _ in batch]

    def _wake(self, batch: Sequence[Op], results: Sequence[Any]) -> None:
        try:
            self._loop.call_soon_threadsafe(_resolve, batch, results)
        except RuntimeError:  # the loop is gone, and with it everybody who waited
            log.warning("the event loop ended before the store was closed")


def _refusable(op: Op, database: Database) -> Any:
    try:
        return op.run(database)
    except SpoolError as refused:
        return refused


def _resolve(batch: Sequence[Op], results: Sequence[Any]) -> None:
    for (_, future, unclaimed), result in zip(batch, results, strict=True):
        if future.done():
            if unclaimed is not None and not isinstance(result, Exception):
                unclaimed(result)
        elif isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)

"""Operations that arrive together commit together: one transaction for a batch, one result for each.

An operation that raises SpoolError must have changed nothing; its neighbours go on. Should one fail half-way
(a database error, a bug), the transaction is rolled back and each is run again behind its own savepoint, so
that only the culprit fails. Hence an operation may run twice and must do nothing but use the connection.
"""

import logging
import sqlite3
from asyncio import Future
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from notqmail.mail.errors import SpoolError
from notqmail.store.database import Database, trouble

log = logging.getLogger(__name__)

BATCH = 256  # operations in one transaction


class Op(NamedTuple):
    """Something to do, who waits for it, and what to do with the result when nobody waits any more."""

    run: Callable[[Database], Any]
    future: Future[Any]
    unclaimed: Callable[[Any], None] | None


class Commits:
    """Runs batches of operations on the one connection that writes; blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.trouble: SpoolError | None = None  # why the last batch failed, None when it did not

    def commit(self, batch: Sequence[Op]) -> list[Any]:
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


def _refusable(op: Op, database: Database) -> Any:
    try:
        return op.run(database)
    except SpoolError as refused:
        return refused


def resolve(batch: Sequence[Op], results: Sequence[Any]) -> None:
    """Tell those who wait; for the event loop."""
    for (_, future, unclaimed), result in zip(batch, results, strict=True):
        if future.done():
            if unclaimed is not None and not isinstance(result, Exception):
                unclaimed(result)
        elif isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)

"""store.database.Database on apsw, whose SQLite can be given a file system of the test's."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import apsw

NOTHING = "SELECT 0 WHERE 0"

# what the sqlite3 module raises, and with which code, for what apsw raises
_CODES: dict[type[apsw.Error], int] = {
    apsw.BusyError: apsw.SQLITE_BUSY,
    apsw.CantOpenError: apsw.SQLITE_CANTOPEN,
    apsw.ConstraintError: apsw.SQLITE_CONSTRAINT,
    apsw.CorruptError: apsw.SQLITE_CORRUPT,
    apsw.FullError: apsw.SQLITE_FULL,
    apsw.IOError: apsw.SQLITE_IOERR,
    apsw.NotADBError: apsw.SQLITE_NOTADB,
    apsw.ReadOnlyError: apsw.SQLITE_READONLY,
}


class ApswRows:
    """store.database.Rows for an apsw cursor."""

    def __init__(self, cursor: Any, rowcount: int) -> None:
        self._cursor = cursor
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor)

    def fetchone(self) -> Any:
        return self._cursor.fetchone()

    def fetchall(self) -> list[Any]:
        return list(self._cursor)


class ApswDatabase:
    """A connection. The log is folded when `folds` says so after a commit, and not by its length."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        connection.execute("PRAGMA wal_autocheckpoint = 0")

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> ApswRows:
        if sql.startswith("PRAGMA wal_autocheckpoint"):
            sql = NOTHING
        try:
            rows = ApswRows(self._connection.execute(sql, parameters), self._connection.changes())
        except apsw.Error as error:
            raise as_sqlite3(error) from error
        if sql == "COMMIT" and self.folds():
            self._fold()
        return rows

    def folds(self) -> bool:
        """Say whether to fold the log now."""
        return False

    def _fold(self) -> None:
        # a commit does not fail because the fold after it does: the log keeps what it has (SQLite's own way too)
        with contextlib.suppress(apsw.Error):
            self._connection.execute("PRAGMA wal_checkpoint").fetchall()

    def close(self) -> None:
        # the sqlite3 module does not tell of a disk that fails here either
        with contextlib.suppress(apsw.Error):
            self._connection.close()


def as_sqlite3(error: apsw.Error) -> sqlite3.Error:
    """Give the error as the sqlite3 module would have raised it."""
    kind = (
        sqlite3.IntegrityError
        if isinstance(error, apsw.ConstraintError)
        else sqlite3.OperationalError
    )
    same = kind(str(error))
    same.sqlite_errorcode = _CODES.get(type(error), apsw.SQLITE_ERROR)
    return same

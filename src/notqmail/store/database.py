"""The connection to the queue's database: how it is opened, and what its errors mean."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from notqmail.mail.errors import SpoolError

T = TypeVar("T")

BUSY_TIMEOUT = 5.0  # seconds; somebody else can lock the file only by going behind our back
CHECKPOINT_PAGES = 2000  # 8 MB of log before it is folded back into the database
LOG_LIMIT = 64 << 20  # octets the log is cut back to after a burst

# secure_delete writes the freed pages of every delivered message again; unlinked files are not wiped either
_WRITER_SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}",
    f"PRAGMA journal_size_limit = {LOG_LIMIT}",
    "PRAGMA secure_delete = FAST",
)
# one connection writes and checkpoints, ever: two at once can corrupt the log before SQLite 3.51.3
_READER_SETTINGS = ("PRAGMA wal_autocheckpoint = 0", "PRAGMA query_only = 1")


class Rows(Protocol):
    """What a statement gave; `rowcount` how many rows it changed."""

    @property
    def rowcount(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class Database(Protocol):
    """The part of sqlite3.Connection that the store uses. No statement opens a transaction by itself."""

    @property
    def in_transaction(self) -> bool: ...
    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows: ...
    def close(self) -> None: ...


Connect = Callable[[Path], Database]


def connect(path: Path) -> Database:
    """Open a database file, made when missing; the connection may move between threads, one at a time.

    Nobody else may read it, wherever it stands: SQLite gives its other files the same mode.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return sqlite3.connect(
        path,
        timeout=BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )


def set_up_writer(database: Database) -> None:
    """Make the connection the one that writes: every commit is on disk when it returns."""
    for setting in _WRITER_SETTINGS:
        database.execute(setting).fetchall()


def set_up_reader(database: Database) -> None:
    """Make the connection one that can only read."""
    for setting in _READER_SETTINGS:
        database.execute(setting).fetchall()


# primary result code -> what happened, in a postmaster's words
_TROUBLE = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "the file system is read-only",
    sqlite3.SQLITE_BUSY: "another program has locked the queue database",
    sqlite3.SQLITE_LOCKED: "another program has locked the queue database",
    sqlite3.SQLITE_CORRUPT: "the queue database is damaged",
    sqlite3.SQLITE_NOTADB: "the queue database is damaged",
    sqlite3.SQLITE_IOERR: "the disk failed",
    sqlite3.SQLITE_CANTOPEN: "the queue database cannot be opened",
    sqlite3.SQLITE_PERM: "the queue database may not be opened",
}


def trouble(error: sqlite3.Error) -> SpoolError:
    """Say what a database error means for mail."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low octet of an extended code
    what = _TROUBLE.get(code, "the queue database refused")
    return SpoolError(f"{what} ({error})", full=code == sqlite3.SQLITE_FULL)


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn sqlite3.Error into SpoolError."""
    try:
        yield
    except sqlite3.Error as error:
        raise trouble(error) from error


def snapshot(database: Database, query: Callable[[Database], T]) -> T:
    """Run a query that sees one state of the queue; raise SpoolError when it cannot."""
    with database_errors():
        database.execute("BEGIN")
        try:
            return query(database)
        finally:
            database.execute("COMMIT")

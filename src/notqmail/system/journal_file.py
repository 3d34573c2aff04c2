"""The journal's database: an append-only log in slices, dropped whole when they are too old or too many.

    slice(number, octets, newest)         the slices there are; the highest number is written to
    page_N(n PRIMARY KEY, body)           up to PAGE records as one JSON array: cheap to write, cheap enough to read
    key_N(entry PRIMARY KEY)              the index: CRC-32 of a key in the high bits, the record's number
                                          (page * PAGE + place) in the low 31

A CRC may be another key's as well, so what it finds is checked. A slice holds at most 1/16 of the size allowed and
1/24 of the time; dropping it costs no more than reading its inner pages, and its space is used again.
"""

import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec

from notqmail.journal import keys

VERSION: Final = 1
PAGE: Final = 64  # records in a row
SLICES_BY_SIZE: Final = 16
SLICES_BY_AGE: Final = 24

_CONNECTION = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",  # a crash may cost the last second, never the file
    "PRAGMA journal_size_limit = 4194304",
)
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS slice"
    " (number INTEGER PRIMARY KEY, octets INTEGER NOT NULL, newest REAL NOT NULL)",
    f"PRAGMA user_version = {VERSION}",
)
_LOW: Final = 31
_BROKEN: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

Record = Mapping[str, Any]


class JournalFile:
    """The open file; for one thread. Every method raises sqlite3.Error when the disk does not do as asked."""

    def __init__(self, path: Path, retention: float, size: int) -> None:
        self._retention, self._size = retention, size
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(list[dict[str, Any]]).decode
        os.close(
            os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        )  # who wrote to whom is nobody else's business
        self._db = sqlite3.connect(path, isolation_level=None, timeout=1.0)
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise sqlite3.NotSupportedError(f"the journal is of version {version}, newer than us")
        for statement in (*_CONNECTION, *(_SCHEMA if version < VERSION else ())):
            self._db.execute(statement)
        self._slice = -1
        row = self._db.execute("SELECT max(number), octets FROM slice").fetchone()
        if row[0] is not None:
            self._slice, self._octets = row
            last = f"SELECT coalesce(max(n), -1) + 1 FROM page_{self._slice:d}"  # noqa: S608 — a number
            (self._page,) = self._db.execute(last).fetchone()
            began = f"SELECT body FROM page_{self._slice:d} ORDER BY n LIMIT 1"  # noqa: S608
            first = self._db.execute(began).fetchone()
            self._began = self._decode(first[0])[0]["at"] if first else 0.0

    def close(self) -> None:
        self._db.close()

    def add(self, records: Sequence[Record], now: float) -> int:
        """Write records; give how many could not be written because of what is in them."""
        if self._slice < 0 or self._full(now):
            self._begin_slice(now)
        pages: list[tuple[int, bytes]] = []
        entries: list[int] = []
        page = self._page
        bad = octets = 0
        for start in range(0, len(records), PAGE):
            body, kept = self._body(records[start : start + PAGE])
            bad += len(records[start : start + PAGE]) - len(kept)
            pages.append((page, body))
            entries += _entries(kept, page * PAGE)
            octets += len(body)
            page += 1
        entries.sort()
        self._insert(pages, entries, octets + 12 * len(entries), now)
        self._page = page
        return bad

    def _body(self, records: Sequence[Record]) -> tuple[bytes, Sequence[Record]]:
        try:
            return self._encode(records), records
        except (
            Exception
        ):  # a text that UTF-8 cannot hold, or what is no JSON: only that record is lost
            kept = [record for record in records if self._encodable(record)]
            return self._encode(kept), kept

    def _encodable(self, record: Record) -> bool:
        try:
            self._encode(record)
        except Exception:
            return False
        return True

    def _insert(
        self, pages: list[tuple[int, bytes]], entries: list[int], octets: int, now: float
    ) -> None:
        """One statement for each table: a statement gives up and takes back the interpreter's lock at each row."""
        number = self._slice
        with self._transaction():
            self._db.executemany(f"INSERT INTO page_{number:d} VALUES (?, ?)", pages)  # noqa: S608
            self._db.execute(
                f"INSERT OR IGNORE INTO key_{number:d} SELECT value FROM json_each(?)",  # noqa: S608
                (self._encode(entries).decode(),),
            )
            self._db.execute(
                "UPDATE slice SET octets = octets + ?, newest = ? WHERE number = ?",
                (octets, now, number),
            )
        self._octets += octets

    def _transaction(self) -> sqlite3.Connection:
        """Begin one; the connection, as a context, ends it: all or nothing, also when the disk is full."""
        self._db.execute("BEGIN IMMEDIATE")
        return self._db

    # Slices

    def _full(self, now: float) -> bool:
        return (
            self._octets >= self._size // SLICES_BY_SIZE
            or now - self._began >= self._retention / SLICES_BY_AGE
        )

    def _begin_slice(self, now: float) -> None:
        self.prune(now)
        number = self._slice + 1
        with self._transaction():
            self._db.execute(f"CREATE TABLE page_{number:d} (n INTEGER PRIMARY KEY, body BLOB)")
            self._db.execute(f"CREATE TABLE key_{number:d} (entry INTEGER PRIMARY KEY)")
            self._db.execute("INSERT INTO slice VALUES (?, 0, ?)", (number, now))
        self._slice, self._octets, self._page, self._began = number, 0, 0, now

    def prune(self, now: float) -> None:
        """Drop slices that are past the retention, then the oldest until a new one fits into the size."""
        room = self._size - 2 * (self._size // SLICES_BY_SIZE)
        for number, newest in self._db.execute(
            "SELECT number, newest FROM slice ORDER BY number"
        ).fetchall():
            if newest >= now - self._retention and self.used() <= room:
                break
            with self._transaction():
                self._db.execute(f"DROP TABLE page_{number:d}")
                self._db.execute(f"DROP TABLE key_{number:d}")
                self._db.execute("DELETE FROM slice WHERE number = ?", (number,))
            if number == self._slice:
                self._octets, self._began = self._size, 0.0  # nothing to write to: begin anew

    def used(self) -> int:
        """Octets that are occupied in the file."""
        values = [
            self._db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        ]
        return int((values[0] - values[1]) * values[2])

    # Reading

    def find(self, key: str, limit: int, since: float) -> list[Record]:
        """Give the records with this key, at most `limit`, and what else is known of the messages among them;
        newest first."""
        found = dict(self._look_up(key, limit, since))
        for id in {record["id"] for record in found.values() if "id" in record} - {key}:
            found.update(self._look_up(id.lower(), limit, since))
        order = sorted(found.items(), key=lambda item: (item[1]["at"], item[0]), reverse=True)
        return [record for _, record in order]

    def _look_up(
        self, key: str, limit: int, since: float
    ) -> Iterator[tuple[tuple[int, int], Record]]:
        low = zlib.crc32(key.encode(errors="replace")) << _LOW
        for (number,) in self._db.execute(
            "SELECT number FROM slice WHERE newest >= ? ORDER BY number DESC", (since,)
        ).fetchall():
            entries = self._db.execute(
                f"SELECT entry FROM key_{number:d} WHERE entry BETWEEN ? AND ?"  # noqa: S608
                " ORDER BY entry DESC LIMIT ?",
                (low, low + (1 << _LOW) - 1, limit),
            ).fetchall()
            for (entry,) in entries:
                n = entry - low
                record = self._read(number, n)
                if record["at"] >= since and key in keys(record):
                    yield (number, n), record
                    limit -= 1
            if limit <= 0:
                return

    def _read(self, number: int, n: int) -> Record:
        query = f"SELECT body FROM page_{number:d} WHERE n = ?"  # noqa: S608
        (body,) = self._db.execute(query, (n // PAGE,)).fetchone()
        return self._decode(body)[n % PAGE]


def latest(path: Path, limit: int) -> list[Record]:
    """Give the newest records, the newest first, of a journal that may be in use; nothing where there is none. Raises
    sqlite3.Error."""
    if not path.exists():
        return []
    found: list[Record] = []
    decode = msgspec.json.Decoder(list[dict[str, Any]]).decode
    place = f"{path.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(place, uri=True, timeout=1.0)) as db:
        slices = db.execute("SELECT number FROM slice ORDER BY number DESC").fetchall()
        for (number,) in slices:
            for (body,) in db.execute(f"SELECT body FROM page_{number:d} ORDER BY n DESC"):  # noqa: S608
                found += reversed(decode(body))
                if len(found) >= limit:
                    return found[:limit]
    return found


def _entries(records: Iterable[Record], first: int) -> Iterator[int]:
    crc32 = zlib.crc32
    for n, record in enumerate(records, first):
        for key in keys(record):
            yield crc32(key.encode()) << _LOW | n


def broken(error: sqlite3.Error) -> bool:
    """Say whether the file itself is damaged, so that nothing can be written to it any more."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BROKEN


def set_aside(path: Path) -> Path:
    """Put a damaged file out of the way, for somebody to look at; give its new name."""
    aside = path.with_name(path.name + ".broken")
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.rename(aside)
    return aside

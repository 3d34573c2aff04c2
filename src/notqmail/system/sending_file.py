"""The file of what accounts have sent and which are held: SQLite, small, bounded for each account.

    sent(account, minute, …)          counts by the minute, those of the last hour
    known(account, recipient, day)    whom an account has written to, as hashes, and when last
    held(account, since, reason, …)   whether the postmaster knows, and how much is kept

A hold is on disk before the message that caused it is; a count may be lost with the power, by some seconds.
"""

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from notqmail.mail.address import Address
from notqmail.mail.sending import Hold, SendingLimits, Sent, charge, excess

VERSION: Final = 1
WINDOW: Final = 60  # minutes
FORGET: Final = 366  # days after which a recipient not written to is new again

_CONNECTION = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA journal_size_limit = 4194304",
)
_SCHEMA = (
    """CREATE TABLE sent (account TEXT, minute INTEGER, messages INTEGER NOT NULL, recipients INTEGER NOT NULL,
        new_recipients INTEGER NOT NULL, PRIMARY KEY (account, minute)) WITHOUT ROWID""",
    """CREATE TABLE known (account TEXT, recipient BLOB, day INTEGER NOT NULL,
        PRIMARY KEY (account, recipient)) WITHOUT ROWID""",
    """CREATE TABLE held (account TEXT PRIMARY KEY, since REAL NOT NULL, reason TEXT NOT NULL,
        told INTEGER NOT NULL, kept INTEGER NOT NULL) WITHOUT ROWID""",
    f"PRAGMA user_version = {VERSION}",
)


class SendingFile:
    """The open file; for one thread. Every method raises sqlite3.Error when the disk does not do as asked."""

    def __init__(self, path: Path, now: float) -> None:
        # who wrote to whom is nobody else's business
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._db = sqlite3.connect(path, isolation_level=None, timeout=1.0, check_same_thread=False)
        try:
            self._prepare(now)
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, now: float) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise sqlite3.NotSupportedError(f"the file is of version {version}, newer than us")
        for statement in _CONNECTION:
            self._db.execute(statement)
        with self._transaction():
            for statement in _SCHEMA if version < VERSION else ():
                self._db.execute(statement)
            self._db.execute("DELETE FROM sent WHERE minute <= ?", (_minute(now) - WINDOW,))
            self._db.execute("DELETE FROM known WHERE day < ?", (_day(now) - FORGET,))

    def close(self) -> None:
        self._db.close()

    def count(
        self,
        account: str,
        recipients: Sequence[Address],
        size: int,
        limits: SendingLimits,
        now: float,
    ) -> Hold | None:
        """Count a message; give the hold that the account is under, with this message or before it. What a held
        account sends is not counted but kept, until the hold is full."""
        with self._transaction():
            if hold := self._held(account):
                hold = replace(hold, kept=hold.kept + charge(size))
                if not hold.full(limits):
                    self._db.execute(
                        "UPDATE held SET kept = ? WHERE account = ?", (hold.kept, account)
                    )
                return hold
            new = self._remember(account, {_digest(each) for each in recipients}, limits.known, now)
            reason = excess(self._add(account, Sent(1, len(recipients), new), now), limits)
            if not reason:
                return None
            kept = charge(size)
            self._db.execute(
                "INSERT INTO held VALUES (?, ?, ?, 0, ?)", (account, now, reason, kept)
            )
        with contextlib.suppress(sqlite3.Error):  # it is in the file, and now on the disk
            self._db.execute("PRAGMA wal_checkpoint").fetchall()
        return Hold(account, now, reason, kept=kept)

    def holds(self) -> Sequence[Hold]:
        """Give all accounts that are held, the longest first."""
        rows = self._db.execute("SELECT * FROM held ORDER BY since, account")
        return [_hold(row) for row in rows]

    def told(self, account: str) -> None:
        """Note that the postmaster knows of a hold."""
        self._db.execute("UPDATE held SET told = 1 WHERE account = ?", (account,))

    def release(self, account: str) -> bool:
        """Hold an account no longer, and begin its hour anew; say whether it was held."""
        with self._transaction():
            self._db.execute("DELETE FROM sent WHERE account = ?", (account,))
            gone = self._db.execute("DELETE FROM held WHERE account = ?", (account,))
            return gone.rowcount == 1

    def _held(self, account: str) -> Hold | None:
        row = self._db.execute("SELECT * FROM held WHERE account = ?", (account,)).fetchone()
        return None if row is None else _hold(row)

    def _add(self, account: str, sent: Sent, now: float) -> Sent:
        """Add to the count of this minute; give the sum of the hour. A clock set back leaves nothing behind."""
        minute = _minute(now)
        self._db.execute(
            "DELETE FROM sent WHERE account = ? AND (minute <= ? OR minute > ?)",
            (account, minute - WINDOW, minute),
        )
        self._db.execute(
            """INSERT INTO sent VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET
                messages = messages + ?3, recipients = recipients + ?4, new_recipients = new_recipients + ?5""",
            (account, minute, sent.messages, sent.recipients, sent.new_recipients),
        )
        total = (
            "SELECT sum(messages), sum(recipients), sum(new_recipients) FROM sent WHERE account = ?"
        )
        return Sent(*self._db.execute(total, (account,)).fetchone())

    def _remember(self, account: str, digests: Iterable[bytes], most: int, now: float) -> int:
        """Note whom an account has written to; say how many of them are new. Over `most` the oldest go."""
        day, rows = _day(now), [(account, digest) for digest in digests]
        before = self._db.total_changes
        self._db.executemany(
            "INSERT OR IGNORE INTO known VALUES (?, ?, ?)", [(*row, day) for row in rows]
        )
        new = self._db.total_changes - before
        self._db.executemany(
            "UPDATE known SET day = ? WHERE account = ? AND recipient = ? AND day < ?",
            [(day, *row, day) for row in rows],
        )
        if new:
            self._forget(account, most)
        return new

    def _forget(self, account: str, most: int) -> None:
        count = "SELECT count(*) FROM known WHERE account = ?"
        over = self._db.execute(count, (account,)).fetchone()[0] - most
        if over > 0:
            self._db.execute(
                """DELETE FROM known WHERE account = ?1 AND recipient IN
                    (SELECT recipient FROM known WHERE account = ?1 ORDER BY day LIMIT ?2)""",
                (account, over),
            )

    def _transaction(self) -> sqlite3.Connection:
        """Begin one; the connection, as a context, ends it: all or nothing, also when the disk is full."""
        self._db.execute("BEGIN IMMEDIATE")
        return self._db


def _hold(row: tuple[str, float, str, int, int]) -> Hold:
    account, since, reason, told, kept = row
    return Hold(account, since, reason, bool(told), kept)


def _digest(address: Address) -> bytes:
    """A recipient as it is remembered: enough to be known again, not to be read."""
    name = f"{address.fold}@{address.domain}"
    return hashlib.blake2b(name.encode(), digest_size=8).digest()


def _minute(now: float) -> int:
    return int(now // 60)


def _day(now: float) -> int:
    return int(now // 86400)

"""What the writer does to the tables: insert, claim, settle, release. Each is one operation of store/commits.

Nothing here waits, keeps time or touches files. A lease is `state = ACTIVE`: there is one server at a time, and
what it held when it died is found active at the next start.
"""

import heapq
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from notqmail.mail.errors import StaleTokenError
from notqmail.mail.hop import Hop
from notqmail.store.database import Database
from notqmail.store.rows import ENTRY, MESSAGE, RECIPIENT, Packed, Row

INSERT_MESSAGE = f"INSERT INTO message ({MESSAGE}) VALUES (?,?,?,?,?,?,?,?,?)"
INSERT_ENTRY = f"INSERT INTO entry ({ENTRY}) VALUES (?,?,?,?,?,?,?,?,?)"
INSERT_RECIPIENT = f"INSERT INTO recipient ({RECIPIENT}) VALUES (?,?,?,?,?,?,?,?,?)"

DELETE_ENTRY = "DELETE FROM entry WHERE id = ? AND destination = ? AND token = ? AND state = 1"
DELETE_RECIPIENTS = "DELETE FROM recipient WHERE id = ? AND destination = ?"
DELETE_MESSAGE = (
    "DELETE FROM message WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM entry WHERE id = ?1)"
)

EARLIEST = "SELECT min(due) FROM entry WHERE state = 0 AND destination = ?"
DESTINATIONS = "SELECT due, name FROM destination WHERE due <= ? ORDER BY due, name"
DUE = f"""SELECT {ENTRY} FROM entry WHERE state = 0 AND destination = ? AND due <= ?
    ORDER BY due, id LIMIT ?"""
LEASE = "UPDATE entry SET state = 1, token = ? WHERE id = ? AND destination = ?"
ONE_MESSAGE = f"SELECT {MESSAGE} FROM message WHERE id = ?"
RECIPIENTS = f"SELECT {RECIPIENT} FROM recipient WHERE id = ? AND destination = ? ORDER BY n"
BY_DUE = "SELECT due, name FROM destination ORDER BY due, name"


class Taken(NamedTuple):
    """A claimed entry as rows."""

    entry: Row  # ENTRY, with the new token
    message: Row  # MESSAGE
    recipients: Sequence[Row]  # RECIPIENT


class Progress(NamedTuple):
    """An attempt that leaves something to do. Positions count the entry's recipients from 0."""

    finished: Collection[int]
    last: Mapping[int, str]  # position -> column recipient.last
    due: float
    delay_told: bool


class Skipped(NamedTuple):
    """Destinations that are passed over: these, and all whose name begins with `prefix`."""

    names: Collection[str] = ()
    prefix: str = "\0"  # no name begins with that

    @classmethod
    def of(cls, names: Iterable[str], transport: str = "") -> "Skipped":
        """The named ones, and all of a transport."""
        return cls(frozenset(names), Hop(transport).destination if transport else "\0")

    def __contains__(self, name: object) -> bool:
        return name in self.names or str(name).startswith(self.prefix)


Claim = tuple[str, str, int]  # id, destination, token


def insert(database: Database, packed: Packed) -> None:
    """Add a message; its entries are active, or held. What waits is not changed by either."""
    database.execute(INSERT_MESSAGE, packed.message)
    for entry in packed.entries:
        database.execute(INSERT_ENTRY, entry)
    for recipient in packed.recipients:
        database.execute(INSERT_RECIPIENT, recipient)


def finish(database: Database, claim: Claim) -> bool:
    """Remove a claimed entry with its recipients, and the message when it was the last; say whether it was.
    Raises StaleTokenError."""
    if database.execute(DELETE_ENTRY, claim).rowcount != 1:
        raise stale([claim])
    id, destination, _ = claim
    database.execute(DELETE_RECIPIENTS, (id, destination))
    return database.execute(DELETE_MESSAGE, (id,)).rowcount == 1


def progress(database: Database, claim: Claim, done: Progress) -> None:
    """Record an attempt after which recipients remain. Raises StaleTokenError."""
    updated = database.execute(
        """UPDATE entry SET state = 0, due = ?, attempts = attempts + 1, delay_told = max(delay_told, ?),
            pending = pending - ? WHERE id = ? AND destination = ? AND token = ? AND state = 1""",
        (done.due, int(done.delay_told), len(done.finished), *claim),
    )
    if updated.rowcount != 1:
        raise stale([claim])
    key = claim[:2]
    numbers = database.execute(
        "SELECT n FROM recipient WHERE id = ? AND destination = ? ORDER BY n", key
    ).fetchall()
    for position, (n,) in enumerate(numbers):
        if position in done.finished:
            delete_recipient(database, *key, n)
        elif position in done.last:
            database.execute(
                "UPDATE recipient SET last = ? WHERE id = ? AND destination = ? AND n = ?",
                (done.last[position], *key, n),
            )
    touch(database, key[1])


def delete_recipient(database: Database, id: str, destination: str, n: int) -> None:
    """Remove one recipient; its entry's count is the caller's."""
    database.execute(
        "DELETE FROM recipient WHERE id = ? AND destination = ? AND n = ?", (id, destination, n)
    )


def release(database: Database, claims: Sequence[Claim], due: float | None) -> Sequence[Claim]:
    """Give claims back, due as before when `due` is None; give the stale ones, which are left alone."""
    refused = []
    for claim in claims:
        given = database.execute(
            """UPDATE entry SET state = 0, due = ifnull(?, due)
                WHERE id = ? AND destination = ? AND token = ? AND state = 1""",
            (due, *claim),
        )
        if given.rowcount != 1:
            refused.append(claim)
    for destination in dict.fromkeys(destination for _, destination, _ in claims):
        touch(database, destination)
    return refused


def take(database: Database, now: float, limit: int, skip: Skipped) -> list[Taken]:
    """Take what is due, in the order (due, destination, id).

    A merge over destinations: the one with the earliest entry gives all it has up to the next one's earliest.
    Only rows that are taken are read, and one row for each destination skipped.
    """
    heap = _earliest(database, now, limit, skip)
    touched: set[str] = set()
    taken: list[Taken] = []
    while heap and len(taken) < limit:
        _, name = heapq.heappop(heap)
        until = _until(name, heap[0], now) if heap else now
        for row in database.execute(DUE, (name, until, limit - len(taken))).fetchall():
            taken.append(_lease(database, row))
        touched.add(name)
        due = database.execute(EARLIEST, (name,)).fetchone()[0]
        if due is not None and due <= now:
            heapq.heappush(heap, (due, name))
    for name in touched:
        touch(database, name)
    return taken


def _earliest(database: Database, now: float, limit: int, skip: Skipped) -> list[tuple[float, str]]:
    """The first destinations, as a heap. More than `limit` of them cannot have a part in the first `limit` entries."""
    found: list[tuple[float, str]] = []
    for due, name in database.execute(DESTINATIONS, (now,)):
        if len(found) >= limit:
            break
        if name not in skip:
            found.append((due, name))
    return found


def _until(name: str, following: tuple[float, str], now: float) -> float:
    """The latest due that `name` may give before it is the turn of `following`."""
    due, other = following
    return min(now, due if name < other else math.nextafter(due, -math.inf))


def _lease(database: Database, row: Row) -> Taken:
    id, destination, _, token, *_ = row
    database.execute(LEASE, (token + 1, id, destination))
    message = database.execute(ONE_MESSAGE, (id,)).fetchone()
    recipients = database.execute(RECIPIENTS, (id, destination)).fetchall()
    return Taken((*row[:3], token + 1, *row[4:]), message, recipients)


def next_due(database: Database, skip: Skipped) -> float | None:
    """Give the earliest due of what waits, `skip` left out."""
    for due, name in database.execute(BY_DUE):
        if name not in skip:
            return float(due)
    return None


def touch(database: Database, destination: str) -> None:
    """Make the destination's row say what its entries say; after every change of what waits for it."""
    due = database.execute(EARLIEST, (destination,)).fetchone()[0]
    if due is None:
        database.execute("DELETE FROM destination WHERE name = ?", (destination,))
    else:
        database.execute(
            """INSERT INTO destination (name, due) VALUES (?1, ?2)
                ON CONFLICT (name) DO UPDATE SET due = ?2 WHERE due <> ?2""",
            (destination, due),
        )


def recover(database: Database) -> int:
    """Void the leases of a server that died; give how many. What it held may have been delivered."""
    void = database.execute("UPDATE entry SET state = 0, recovered = 1 WHERE state = 1").rowcount
    if void:
        database.execute("DELETE FROM destination")
        database.execute(
            """INSERT INTO destination (name, due)
                SELECT destination, min(due) FROM entry WHERE state = 0 GROUP BY destination"""
        )
    return void


def hold(database: Database, ids: Iterable[str]) -> None:
    """Keep all entries of these messages, none of them active, from being claimed."""
    for id in ids:
        names = database.execute("SELECT destination FROM entry WHERE id = ?", (id,)).fetchall()
        database.execute("UPDATE entry SET state = 2 WHERE id = ?", (id,))
        for (name,) in names:
            touch(database, name)


def stale(claims: Iterable[Claim]) -> StaleTokenError:
    """Say that claims are no longer valid."""
    names = ", ".join(f"m={id} for {destination}" for id, destination, _ in claims)
    return StaleTokenError(f"claimed anew since, or gone: {names}")


def pending_recipients(database: Database, id: str) -> tuple[Row, Sequence[Row]] | None:
    """Give a message as MESSAGE with all its pending recipients as RECIPIENT; None when it is not there."""
    message = database.execute(ONE_MESSAGE, (id,)).fetchone()
    if message is None:
        return None
    query = f"SELECT {RECIPIENT} FROM recipient WHERE id = ? ORDER BY n"
    return message, database.execute(query, (id,)).fetchall()


def filed(database: Database) -> list[str]:
    """Give the ids of all messages whose content is in a file."""
    return [id for (id,) in database.execute("SELECT id FROM message WHERE file = 1")]

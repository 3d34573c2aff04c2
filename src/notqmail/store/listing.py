"""What people ask of the queue: find, edit, count. SQL over all of it; nothing here is on the way of mail."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Literal, NamedTuple

from notqmail.mail.address import Address
from notqmail.mail.entry import QueueFilter, QueueRow
from notqmail.mail.idn import canonical_domain
from notqmail.store.database import Database
from notqmail.store.ops import DELETE_MESSAGE, delete_recipient, touch
from notqmail.store.rows import ACTIVE, HELD, WAITING, Row, unpack_listed

Action = Literal["hold", "release", "retry", "delete"]
Key = tuple[str, str, int]  # id, destination, n of a recipient
PAGE = 200  # recipients edited in one operation, so that commits of mail come in between

COLUMNS = """r.id, r.destination, r.n, m.born, m.sender_local, m.sender_domain, m.size,
    e.state, e.due, e.attempts, r.local, r.domain, r.last"""
_FROM = """FROM recipient r JOIN entry e ON e.id = r.id AND e.destination = r.destination
    JOIN message m ON m.id = r.id"""
_ONE = f"SELECT {COLUMNS} {_FROM} WHERE r.id = ? AND r.destination = ? AND r.n = ?"

# what each action does, and to what; an active entry is left to its attempt
_FROM_STATE = {
    "hold": (WAITING,),
    "release": (HELD,),
    "retry": (WAITING,),
    "delete": (WAITING, HELD),
}
_UPDATE = {
    "hold": "UPDATE entry SET state = 2 WHERE ?3 = ?3 AND id = ?1 AND destination = ?2",
    "release": "UPDATE entry SET state = 0 WHERE ?3 = ?3 AND id = ?1 AND destination = ?2",
    "retry": "UPDATE entry SET due = ?3 WHERE id = ?1 AND destination = ?2",
}


class Edited(NamedTuple):
    """What an edit acted on, and the messages that are gone by it whose content is in a file."""

    rows: list[QueueRow]
    files: list[str]


class Condition(NamedTuple):
    """A filter as SQL."""

    where: str
    parameters: tuple[Any, ...]


def condition(which: QueueFilter, now: float) -> Condition:
    """Turn a filter into SQL; raise AddressError when it names no address."""
    parts = list(_conditions(which, now))
    parameters = tuple(value for _, values in parts for value in values)
    return Condition(" AND ".join(sql for sql, _ in parts) or "1", parameters)


def _conditions(which: QueueFilter, now: float) -> Iterator[tuple[str, tuple[Any, ...]]]:
    if which.id:
        yield "r.id = ?", (which.id,)
    if which.sender == "":
        yield "m.sender_local IS NULL", ()
    elif which.sender is not None:
        yield from _address("m.sender_local", "m.sender_domain", which.sender)
    if which.recipient:
        yield from _address("r.local", "r.domain", which.recipient)
    if which.domain:
        yield "r.domain = ?", (canonical_domain(which.domain),)
    if which.login:
        yield "json_extract(m.options, '$.login') = ?", (which.login,)
    if which.older:
        yield "m.born <= ?", (now - which.older,)
    if which.held is not None:
        yield f"(e.state = {HELD}) = ?", (int(which.held),)


def _address(local: str, domain: str, text: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    if text.startswith("@"):
        yield f"{domain} = ?", (canonical_domain(text[1:]),)
    else:
        address = Address.parse(text)
        yield f"{local} = ? AND {domain} = ?", (address.local, address.domain)


def find(database: Database, which: Condition, limit: int, now: float) -> list[QueueRow]:
    """Give what matches, oldest message first."""
    query = (
        f"SELECT {COLUMNS} {_FROM} WHERE {which.where} ORDER BY r.id, r.destination, r.n LIMIT ?"
    )
    return [unpack_listed(row, now) for row in database.execute(query, (*which.parameters, limit))]


def keys(database: Database, which: Condition) -> list[Key]:
    """Give the keys of what matches."""
    query = f"SELECT r.id, r.destination, r.n {_FROM} WHERE {which.where} ORDER BY r.id, r.destination, r.n"
    return database.execute(query, which.parameters).fetchall()


def pages(found: Sequence[Key]) -> Iterator[Sequence[Key]]:
    """Cut keys into pieces of about PAGE that never part an entry."""
    page: list[Key] = []
    for key in found:
        if len(page) >= PAGE and key[:2] != page[-1][:2]:
            yield page
            page = []
        page.append(key)
    if page:
        yield page


def edit(database: Database, page: Sequence[Key], action: Action, now: float) -> Edited:
    """Act on recipients. Only `delete` is for one recipient; the rest is for its entry, which travels together."""
    edited = Edited([], [])
    for (id, destination), group in groupby(page, key=lambda key: key[:2]):
        before = [database.execute(_ONE, key).fetchone() for key in group]
        rows = [row for row in before if row is not None]  # some may be delivered since
        if not rows:
            continue
        state = rows[0][7]
        if state in _FROM_STATE[action]:
            if action == "delete":
                edited.files.extend(_delete(database, rows))
            else:
                database.execute(_UPDATE[action], (id, destination, now))
                rows = [database.execute(_ONE, row[:3]).fetchone() for row in rows]
            touch(database, destination)
        elif state != ACTIVE:
            continue
        edited.rows.extend(unpack_listed(row, now) for row in rows)
    return edited


def _delete(database: Database, rows: Sequence[Row]) -> Sequence[str]:
    """Remove recipients of one entry and what is empty then; give the message's id when its file is to go."""
    id, destination, *_ = rows[0]
    for row in rows:
        delete_recipient(database, *row[:3])
    key = (id, destination)
    database.execute(
        "UPDATE entry SET pending = pending - ? WHERE id = ? AND destination = ?", (len(rows), *key)
    )
    database.execute("DELETE FROM entry WHERE id = ? AND destination = ? AND pending = 0", key)
    in_file: int = database.execute("SELECT file FROM message WHERE id = ?", (id,)).fetchone()[0]
    gone = database.execute(DELETE_MESSAGE, (id,)).rowcount == 1
    return (id,) if gone and in_file else ()


def counts(database: Database, now: float) -> dict[str, int]:
    """Give the number of recipients in each state."""
    found = dict.fromkeys(("active", "due", "deferred", "held"), 0)
    query = """SELECT CASE state WHEN 1 THEN 'active' WHEN 2 THEN 'held'
            ELSE CASE WHEN due <= ? THEN 'due' ELSE 'deferred' END END, sum(pending)
        FROM entry GROUP BY 1"""
    found.update(database.execute(query, (now,)))
    return found

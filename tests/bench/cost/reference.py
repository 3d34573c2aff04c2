"""The reference loop: a fixed piece of work of the kind that a mail server does. Never change it: every baseline is a
ratio to it.

Of its instructions about half are the interpreter's own and half the C code it calls (bytes, regular expressions,
dictionaries, JSON, SQLite, tasks), so that a Python which is slower at either moves the reference as it moves the server.
"""

import asyncio
import json
import re
import sqlite3
from dataclasses import dataclass, replace

TURNS = 100

_WORD = re.compile(rb"([A-Za-z-]+):[ \t]*([^\r\n]*)\r\n")
_TEXT = b"From: <a@sender.example>\r\nTo: <b@example.org>\r\nSubject: what it costs\r\nX-Line: " + (
    b"x" * 900 + b"\r\n"
)


@dataclass(frozen=True, slots=True)
class _Value:
    name: str
    number: int
    texts: tuple[str, ...] = ()


async def turn(database: sqlite3.Connection, number: int) -> int:
    """One turn."""
    fields = {name.lower(): text.strip() for name, text in _WORD.findall(_TEXT)}
    values = [_Value(name.decode("ascii"), len(text)) for name, text in fields.items()]
    total = 0
    for value in values:
        for part in value.name.split("-"):
            value = replace(value, number=value.number + number, texts=(*value.texts, part))
            total += len(f"{value.name}={value.number}") + len(value.texts)
    parts = b"".join(_TEXT.partition(b"\r\n\r\n")[0].split(b"\r\n"))
    text = json.dumps({"id": number, "total": total, "names": [value.name for value in values]})
    database.execute("INSERT INTO record VALUES (?, ?, ?)", (number, text, parts))
    row = database.execute("SELECT text FROM record WHERE id = ?", (number,)).fetchone()
    database.execute("DELETE FROM record WHERE id = ?", (number,))
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, len(row[0]))
    return total + int(await asyncio.create_task(_wait(future)))


async def _wait(future: "asyncio.Future[int]") -> int:
    return await future


async def run(turns: int) -> None:
    """So many turns."""
    database = sqlite3.connect(":memory:", isolation_level=None)
    try:
        database.execute("CREATE TABLE record (id INTEGER PRIMARY KEY, text TEXT, octets BLOB)")
        for number in range(turns):
            await turn(database, number)
    finally:
        database.close()

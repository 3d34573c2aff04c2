"""The schema's version: an older database is brought up to date in one transaction, a newer one refused.

`schema/NNNN.sql` takes a database from version N-1 to N; `PRAGMA user_version` says where it is.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from importlib.resources import files

from notqmail.mail.errors import SpoolError
from notqmail.store.database import Database


def steps() -> Mapping[int, str]:
    """Give the script for each version, in order."""
    folder = files("notqmail.store") / "schema"
    scripts = {
        int(f.name[:4]): f.read_text("utf-8") for f in folder.iterdir() if f.name[:4].isdigit()
    }
    return dict(sorted(scripts.items()))


def upgrade(database: Database, scripts: Mapping[int, str]) -> int:
    """Bring the schema to the newest version of `scripts`; give the version it had. Raises SpoolError when the
    database is newer than this program, or is not a queue at all."""
    newest = max(scripts)
    database.execute("BEGIN IMMEDIATE")
    try:
        version: int = database.execute("PRAGMA user_version").fetchone()[0]
        _refuse(database, version, newest)
        for number in range(version + 1, newest + 1):
            for statement in _statements(scripts[number]):
                database.execute(statement)
        if version < newest:
            database.execute(f"PRAGMA user_version = {newest}")
        database.execute("COMMIT")
    finally:
        if database.in_transaction:
            database.execute("ROLLBACK")
    return version


def _refuse(database: Database, version: int, newest: int) -> None:
    if version > newest:
        raise SpoolError(
            f"the queue has schema version {version}, this notqmail knows up to {newest}: "
            "start the newer notqmail that wrote it, or restore the backup made before the upgrade"
        )
    if version == 0 and database.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        raise SpoolError(
            "queue.sqlite holds tables but no schema version, so it is not a notqmail queue: "
            "move it away, and a new queue is made at the next start"
        )


def _statements(script: str) -> Iterator[str]:
    """Cut a script into statements. (executescript would commit what is open.)"""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""

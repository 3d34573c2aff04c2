"""Opening the queue: lock, schema, and the cleaning up after whatever ended the last run. Blocks."""

import logging
import sqlite3
from pathlib import Path
from typing import NamedTuple

from notqmail.mail.errors import SpoolError
from notqmail.store import ops
from notqmail.store.blobs import Blobs, disk_errors
from notqmail.store.database import Connect, Database, set_up_reader, set_up_writer, trouble
from notqmail.store.files import Files
from notqmail.store.lock import DataLock
from notqmail.store.migrate import steps, upgrade

log = logging.getLogger(__name__)

DATABASE = "queue.sqlite"


class Opened(NamedTuple):
    """A queue that is ready."""

    lock: DataLock | None
    writer: Database
    reader: Database
    blobs: Blobs


def open_files(path: Path, files: Files, connect: Connect, *, lock: bool) -> Opened:
    """Open the queue in the data directory `path`. Raises ConfigError when it is in use, SpoolError."""
    held = DataLock.acquire(path) if lock else None
    blobs = Blobs(path / "blobs", files)
    opened: list[Database] = []
    try:
        with disk_errors():
            blobs.prepare()
            writer = connect(path / DATABASE)
            opened.append(writer)
            set_up_writer(writer)
            upgrade(writer, steps())
            _clean_up(writer, blobs)
            reader = connect(path / DATABASE)
            opened.append(reader)
            set_up_reader(reader)
    except (sqlite3.Error, SpoolError) as error:
        for database in opened:
            database.close()
        if held is not None:
            held.release()
        raise trouble(error) if isinstance(error, sqlite3.Error) else error from error
    return Opened(held, writer, reader, blobs)


def _clean_up(database: Database, blobs: Blobs) -> None:
    missing = blobs.sweep(ops.filed(database))
    database.execute("BEGIN IMMEDIATE")
    recovered = ops.recover(database)
    ops.hold(database, missing)
    database.execute("COMMIT")
    if recovered:
        log.info("the last run ended in the middle of %d attempts: they are made again", recovered)
    for id in missing:
        log.error("m=%s is held: its content, %s, is missing", id, blobs.path(id))

"""Opening the queue: lock, schema, and the cleaning up after whatever ended the last run. Blocks."""

import logging
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from notqmail.store import ops
from notqmail.store.blobs import Blobs, disk_errors
from notqmail.store.database import Connect, Database, database_errors, set_up_reader, set_up_writer
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
    with ExitStack() as undo:
        if held is not None:
            undo.callback(held.release)
        with disk_errors(), database_errors():
            blobs.prepare()
            writer = connect(path / DATABASE)
            undo.callback(writer.close)
            set_up_writer(writer)
            upgrade(writer, steps())
            _clean_up(writer, blobs)
            reader = connect(path / DATABASE)
            undo.callback(reader.close)
            set_up_reader(reader)
        undo.pop_all()
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

"""Many lives in one process leave nothing behind: no memory, no thread, no descriptor, no file system of SQLite."""

import gc
import threading
from pathlib import Path

import apsw

from tests.simulation.test_every_crash import live

RUNS = 40


def left() -> tuple[int, int, int, int]:
    """Objects, threads, descriptors, file systems."""
    gc.collect()
    descriptors = sum(1 for _ in Path("/dev/fd").iterdir())
    return len(gc.get_objects()), threading.active_count(), descriptors, len(apsw.vfs_names())


def test_lives_leave_nothing_behind() -> None:
    for at in range(10):
        live(20 * at, "power")
    before = left()

    for at in range(RUNS):
        live(4 * at, "power")

    after = left()
    assert after[1:] == before[1:]
    assert after[0] - before[0] < 10 * RUNS  # caches fill; a life that stays is ten thousands

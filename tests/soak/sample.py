"""What the server uses, seen from outside: /proc, its metrics, its files."""

import asyncio
import csv
import sqlite3
import stat
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from tests.support.server import Server


@dataclass(frozen=True, slots=True)
class Sample:
    """One look. Sizes in octets, times in seconds."""

    at: float  # since the start of the traffic
    rss: int
    anonymous: int  # not PSS: of what it shares with other programs, more counts when they end
    descriptors: int
    threads: int
    tasks: int
    sessions: int
    queue: int  # recipients
    oldest: float  # age of the oldest message in the queue
    disk: int  # of the queue's files
    journal: int
    lag: float  # the event loop's worst delay since the sample before


async def take(server: Server, began: float) -> Sample:
    """Look at the running server. Raises OSError when it does not answer."""
    return await asyncio.to_thread(_take, server, began)


def _take(server: Server, began: float) -> Sample:
    process, data = Path(f"/proc/{server.pid}"), server.directory / "data"
    status = _numbers(process / "status")
    shown = _metrics(server)
    return Sample(
        at=time.monotonic() - began,
        rss=status["VmRSS"] << 10,
        anonymous=status["RssAnon"] << 10,
        descriptors=sum(1 for _ in (process / "fd").iterdir()),
        threads=status["Threads"],
        tasks=int(shown["notqmail_tasks"]),
        sessions=int(shown["notqmail_sessions"]),
        queue=int(shown["notqmail_queue_recipients"]),
        oldest=_oldest(data / "queue.sqlite"),
        disk=_occupied(data.glob("queue.sqlite*")) + _occupied((data / "blobs").rglob("*")),
        journal=_occupied(data.glob("journal.sqlite*")),
        lag=shown["notqmail_loop_lag_seconds"],
    )


def _numbers(path: Path) -> Mapping[str, int]:
    """Fields "Name:  number …" of a file of /proc."""
    found = {}
    for line in path.read_text().splitlines():
        name, _, rest = line.partition(":")
        first, *_ = rest.split() or [""]
        if first.isdecimal():
            found[name] = int(first)
    return found


def _metrics(server: Server) -> Mapping[str, float]:
    """What the server shows, added up over the labels."""
    with urlopen(f"http://127.0.0.1:{server.base + 80}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def _oldest(queue: Path) -> float:
    with closing(sqlite3.connect(f"file:{queue}?mode=ro", uri=True, timeout=10)) as database:
        [born] = database.execute("SELECT min(born) FROM message").fetchone()
    return max(0.0, time.time() - born) if born is not None else 0.0


def _occupied(paths: Iterable[Path]) -> int:
    """Octets on the disk, of files: the directories of blobs/ are made once and stay."""
    total = 0
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # it was delivered in this moment
        total += status.st_blocks * 512 if stat.S_ISREG(status.st_mode) else 0
    return total


class Recorder:
    """Samples as lines of a CSV file, each written at once: what was seen survives an end in the middle."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", newline="", encoding="utf-8")
        names = [field.name for field in fields(Sample)]
        self._writer = csv.DictWriter(self._file, names)
        self._writer.writeheader()

    def add(self, sample: Sample) -> None:
        self._writer.writerow(asdict(sample))
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

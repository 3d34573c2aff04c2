"""Is the recorded trace what really happens? The same life is traced by strace, with the production store's sqlite3."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from notqmail.config import Queue, Size
from notqmail.ports import Store
from notqmail.store.sqlite import SqliteStore
from tests.store.workload import Edit, Put, Restart, Settle, Step, perform
from tests.support.clock import FakeClock
from tests.support.disk import ROOT, Event, Name, Sync, Truncate, Write
from tests.support.programs import program
from tests.support.recording import Recorder

QUEUE = Queue(free_space=Size(0), inline=Size(4096))
CALLS = "openat,pwrite64,write,fsync,fdatasync,ftruncate,unlink,rename,link,linkat,mkdir"
# one thing at a time: what is done at once may be committed together or not
LIFE: Sequence[Step] = (
    [Put("0AA", ("alice@example.org",))],
    [Put("0BB", ("bob@example.org", "b@far.example", "c@far.example"), 20_000)],
    [Settle("0AA", "local:alice@example.org", 1)],
    [Settle("0BB", "smtp:far.example", 1, bounce="0EE")],
    [Settle("0BB", "local:bob@example.org", 1, forward="0FF")],
    [Restart()],
    [Put("0II", ("i@far.example",), 40_000)],
    [Settle("0II", "smtp:far.example", 1)],
    [Edit("0BB", "delete")],
)


class PlainWorld:
    """The production store on a data directory, or with a recorder between it and the disk."""

    def __init__(self, root: Path, recorder: Recorder | None = None) -> None:
        self._root, self._recorder = root, recorder
        self._store: SqliteStore | None = None

    async def restart(self) -> Store:
        await self.close()
        disk = self._recorder
        if disk is None:
            self._store = await SqliteStore.start(self._root, QUEUE, FakeClock())
        else:
            self._store = await SqliteStore.start(
                self._root, QUEUE, FakeClock(), files=disk.files, connect=disk.connect
            )
        return self._store

    def checkpoint(self) -> None:
        """Only when the store is closed."""

    def mark(self, text: str) -> None:
        """Not a system call."""

    async def close(self) -> None:
        if self._store is not None:
            await self._store.close()


async def live(world: PlainWorld) -> None:
    await perform(await world.restart(), LIFE, world)
    await world.close()


def told_by_recorder(events: Sequence[Event]) -> Iterator[str]:
    """The trace as lines, with paths."""
    paths = {ROOT: "."}
    for event in events:
        match event:
            case Name(directory, name, target):
                path = str(Path(paths[directory]) / name)
                if target is not None:
                    paths[target] = path
                yield f"{'unname' if target is None else 'name'} {path}"
            case Write(inode):
                yield f"write {paths[inode]}"
            case Truncate(inode, size):
                yield f"truncate {paths[inode]} {size}"
            case Sync(inode):
                yield f"sync {paths[inode]}"


_CALL = re.compile(r"(?:\d+ +)?(\w+)\((.*)")
_DESCRIPTOR = re.compile(r"\d+<([^>]*)>")
_QUOTED = re.compile(r'"([^"]*)"')
_SIZE = re.compile(r">, (\d+)")


def told_by_strace(text: str, root: Path) -> Iterator[str]:
    """The system calls under `root` in the same words."""
    known: set[str] = set()
    for line in text.splitlines():
        match = _CALL.match(line)
        if match is None or " = -1 " in line:
            continue
        call, rest = match.groups()
        named = [str(Path(p).relative_to(root)) for p in _QUOTED.findall(rest) if _below(p, root)]
        opened = [
            str(Path(p).relative_to(root)) for p in _DESCRIPTOR.findall(rest) if _below(p, root)
        ]
        if any(path.endswith(("-shm", "lock")) for path in (*named, *opened)):
            continue
        if call in ("write", "pwrite64") and opened:
            yield f"write {opened[0]}"
        elif call == "ftruncate" and opened:
            size = _SIZE.search(rest)
            yield f"truncate {opened[0]} {size[1] if size else '?'}"
        elif call in ("fsync", "fdatasync") and opened:
            yield f"sync {opened[0]}"
        elif named:
            yield from _names(call, rest, named, known)


def _names(call: str, rest: str, named: Sequence[str], known: set[str]) -> Iterator[str]:
    made = {
        "openat": "O_CREAT" in rest,
        "mkdir": True,
        "rename": True,
        "link": True,
        "linkat": True,
    }
    if made.get(call, False) and named[-1] not in known:
        known.add(named[-1])
        yield f"name {named[-1]}"
    if call in ("rename", "unlink"):
        known.discard(named[0])
        yield f"unname {named[0]}"


def _below(path: str, root: Path) -> bool:
    return Path(path).is_relative_to(root)


def once(lines: Iterator[str]) -> list[str]:
    """Writes in a row are as many as the library likes: keep one."""
    kept: list[str] = []
    for line in lines:
        if not (line.startswith("write") and kept and kept[-1] == line):
            kept.append(line)
    return kept


@pytest.mark.interop
def test_the_recorded_trace_is_the_one_strace_sees(tmp_path: Path) -> None:
    strace = program("strace")
    recorded, traced, output = tmp_path / "recorded", tmp_path / "traced", tmp_path / "strace"
    recorded.mkdir()
    traced.mkdir()
    ran = subprocess.run(
        [
            *(strace, "-f", "-y", "-s", "0", "-e", f"trace={CALLS}", "-o", str(output)),
            *(sys.executable, "-m", __name__, str(traced)),
        ],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "PTRACE" in ran.stderr:
        pytest.skip(f"strace may not trace here: {ran.stderr.strip()}")
    assert ran.returncode == 0, ran.stderr

    recorder = Recorder(recorded)
    asyncio.run(live(PlainWorld(recorded, recorder)))

    seen = once(told_by_strace(output.read_text(), traced))
    assert once(told_by_recorder(recorder.trace.events)) == seen
    assert len(seen) > 50


if __name__ == "__main__":
    asyncio.run(live(PlainWorld(Path(sys.argv[1]))))

"""A disk that loses what was not synced: a recorded trace of file operations, and what a crash may leave of it.

How the trace is recorded (tests/support/recording.py): the real store runs on real files. SQLite's file operations
pass through an apsw VFS that forwards each to SQLite's own unix VFS and notes it; the blob files pass through the
store's `Files` port. Both write into one `Trace`, under one lock, so that the order of the notes is the order of the
operations, between SQLite and the blobs too. The alternatives were weighed: strace sees the system calls themselves
but needs a kernel that lets us trace, and a parser that must get concurrent calls right; an LD_PRELOAD library needs a
compiler on the machine of everybody who runs the tests. What the VFS cannot see are the two syncs of a directory
that SQLite's unix VFS makes on its own, so the recorder notes them where os_unix.c makes them. That this,
and SQLite's order of writes and syncs, is what the sqlite3 module of the production store really does is not taken on
trust: tests/store/test_recording.py compares the trace with strace's, where strace is to be had.

How the disk behaves, which is as badly as POSIX allows:

* A write or truncation is certain after a later sync of that file. Before, each may have reached the disk or
  not, independently of all others; of a write, any of its 512-octet sectors. What is missing below the end reads as zeros.
* A name (creation, rename, link, removal) is certain after a later sync of its directory; before, each change may
  be there or not. Both halves of a rename are changes of their own. A directory's own name is in the one above it.
* Syncing a file says nothing about its name.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
ROOT = 0  # the inode of the data directory, which is there before the store


@dataclass(frozen=True, slots=True)
class Write:
    inode: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    inode: int
    size: int


@dataclass(frozen=True, slots=True)
class Name:
    """In `directory`, `name` is now `target`; None: it is removed."""

    directory: int
    name: str
    target: int | None
    is_directory: bool = False


@dataclass(frozen=True, slots=True)
class Sync:
    """A sync of a file or directory; `role` says which one it is in words."""

    inode: int
    role: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Not an operation: what the store was asked or has answered."""

    text: str


Change = Write | Truncate | Name
Event = Change | Sync | Mark
Image = Mapping[str, bytes | None]  # path -> content, None for a directory


@dataclass(slots=True)
class Disk:
    """What is certain, and what is not yet."""

    files: dict[int, bytearray] = field(default_factory=dict)
    names: dict[int, dict[str, int]] = field(default_factory=lambda: {ROOT: {}})
    directories: set[int] = field(default_factory=lambda: {ROOT})
    unsynced: dict[int, list[Change]] = field(default_factory=dict)  # by inode, in order

    @property
    def pending(self) -> list[Change]:
        """What is not certain, in an order that keeps that of each file and directory."""
        return [change for changes in self.unsynced.values() for change in changes]

    def apply(self, event: Event) -> None:
        """Let one thing happen."""
        match event:
            case Sync(inode):
                self._make_certain(self.unsynced.pop(inode, ()))
            case Mark():
                pass
            case _:
                self.unsynced.setdefault(_of(event), []).append(event)

    def _make_certain(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if isinstance(change, Name):
                _rename(self.names, self.directories, change)
            else:
                write(self.files.setdefault(change.inode, bytearray()), change)

    def lose(self, inode: int, survived: Sequence[Change]) -> None:
        """A sync has failed: of what is pending for a file only `survived` has reached the disk, and nothing else will."""
        self.unsynced.pop(inode, None)
        self._make_certain(survived)

    def crashed(self, survived: Sequence[Change]) -> "Disk":
        """Give the disk that is found when of all that is pending only `survived` reached it."""
        names = {inode: dict(entries) for inode, entries in self.names.items()}
        files = {inode: bytearray(content) for inode, content in self.files.items()}
        found = Disk(files, names, set(self.directories))
        found._make_certain(survived)
        return found

    def after_crash(self, survived: Sequence[Change]) -> Image:
        """Give the tree of what `crashed` gives."""
        found = self.crashed(survived)
        return dict(_walk(found.files, found.names, found.directories, ROOT, ""))


def _of(change: Change) -> int:
    return change.directory if isinstance(change, Name) else change.inode


def _rename(names: dict[int, dict[str, int]], directories: set[int], change: Name) -> None:
    entries = names.setdefault(change.directory, {})
    if change.target is None:
        entries.pop(change.name, None)
        return
    entries[change.name] = change.target
    if change.is_directory:
        directories.add(change.target)


def write(content: bytearray, change: Write | Truncate) -> None:
    """Do a change to a file; what is between its end and the new octets is zero."""
    if isinstance(change, Truncate):
        content.extend(bytes(max(0, change.size - len(content))))
        del content[change.size :]
        return
    content.extend(bytes(max(0, change.offset - len(content))))
    content[change.offset : change.offset + len(change.data)] = change.data


def _walk(
    files: Mapping[int, bytes | bytearray],
    names: Mapping[int, Mapping[str, int]],
    directories: set[int],
    inode: int,
    path: str,
) -> Iterator[tuple[str, bytes | None]]:
    for name, target in sorted(names.get(inode, {}).items()):
        below = f"{path}/{name}".lstrip("/")
        if target in directories:
            yield below, None
            yield from _walk(files, names, directories, target, below)
        else:
            yield below, bytes(files.get(target, b""))


def put_on_disk(image: Image, root: Path) -> None:
    """Make the tree for real."""
    for path, content in image.items():
        if content is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(content)


def fates(
    pending: Sequence[Change], seed: int, draws: int, *, each: bool
) -> Iterator[list[Change]]:
    """What may have reached the disk of what was not synced: nothing, everything, names without content, content
    without names; with `each`, every change alone and all but it; and `draws` random choices with torn writes."""
    everything = list(pending)
    yield []
    if not everything:
        return
    yield everything
    yield [c for c in everything if isinstance(c, Name)]
    yield [c for c in everything if not isinstance(c, Name)]
    if each:
        for index in range(len(everything)):
            yield [everything[index]]
            yield everything[:index] + everything[index + 1 :]
    for draw in range(draws):
        yield fate(everything, random.Random(f"{seed}.{draw}"))


def fate(pending: Sequence[Change], chance: random.Random) -> list[Change]:
    """Choose what has reached the disk, with torn writes."""
    odds = chance.choice((0.15, 0.5, 0.85))
    return [
        piece for change in pending if chance.random() < odds for piece in _torn(change, chance)
    ]


def _torn(change: Change, chance: random.Random) -> Iterator[Change]:
    """A write as it may arrive: whole, or some of its sectors."""
    if not isinstance(change, Write) or chance.random() < 0.5:
        yield change
        return
    start, end = change.offset, change.offset + len(change.data)
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        if chance.random() < 0.5:
            yield Write(
                change.inode, start, change.data[start - change.offset : stop - change.offset]
            )
        start = stop


def without(events: Sequence[Event], role: str) -> list[Event]:
    """The trace of a program that forgets the syncs of that role."""
    return [e for e in events if not (isinstance(e, Sync) and e.role == role)]


def roles(events: Sequence[Event]) -> list[str]:
    """Every kind of sync in a trace, in the order of their first."""
    return list(dict.fromkeys(e.role for e in events if isinstance(e, Sync)))

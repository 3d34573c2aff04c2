"""Records the file operations of a store into a trace for tests/support/disk.py, which says why in this way."""

import threading
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import apsw

from notqmail.store.files import Files
from tests.support.apsw_database import ApswDatabase
from tests.support.disk import ROOT, Change, Event, Mark, Name, Sync, Truncate, Write

_JOURNALS = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL
LOG_HEADER = 32  # octets


class Trace:
    """Events in order, and which file each name means now."""

    def __init__(self, root: Path, before: Sequence[Event] = ()) -> None:
        """Go on where `before` ended, whose tree is what is under `root` now."""
        self.root = root
        self.events = list(before)
        self.lock = threading.RLock()
        self._inodes = _meanings(before)
        self._numbers = count(max(self._inodes.values()) + 1000)

    def mark(self, text: str) -> None:
        with self.lock:
            self.events.append(Mark(text))

    def inode(self, path: Path) -> int | None:
        return self._inodes.get(self._key(path))

    def add(self, event: Event) -> None:
        self.events.append(event)

    def create(self, path: Path, *, is_directory: bool = False) -> int:
        """Note a new file or directory."""
        inode = next(self._numbers)
        self.name(path, inode, is_directory=is_directory)
        return inode

    def name(self, path: Path, inode: int | None, *, is_directory: bool = False) -> None:
        """Note that `path` now means `inode`."""
        if inode is None:
            self._inodes.pop(self._key(path), None)
        else:
            self._inodes[self._key(path)] = inode
        parent = self._inodes[self._key(path.parent)]
        self.events.append(Name(parent, path.name, inode, is_directory))

    def sync_directory(self, path: Path, role: str) -> None:
        self.events.append(Sync(self._inodes[self._key(path)], role))

    def unsynced(self, inode: int) -> list[Change]:
        """The writes to a file since its last sync."""
        found: list[Change] = []
        for event in reversed(self.events):
            if isinstance(event, Sync) and event.inode == inode:
                break
            if isinstance(event, Write | Truncate) and event.inode == inode:
                found.append(event)
        return found

    def _key(self, path: Path) -> str:
        relative = str(path.relative_to(self.root))
        return "" if relative == "." else relative


def _meanings(events: Sequence[Event]) -> dict[str, int]:
    """Say which inode each path means after `events`."""
    paths, meanings = {ROOT: ""}, {"": ROOT}
    for event in events:
        if isinstance(event, Name):
            path = f"{paths[event.directory]}/{event.name}".lstrip("/")
            meanings.pop(path, None)
            if event.target is not None:
                meanings[path] = event.target
                paths[event.target] = path
    return meanings


class RecordingFiles(Files):
    """The blob store's file operations: made, and noted."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._open: dict[int, tuple[int, int]] = {}  # descriptor -> inode, position

    def create(self, path: Path) -> int:
        with self._trace.lock:
            descriptor = super().create(path)
            self._open[descriptor] = (self._trace.create(path), 0)
            return descriptor

    def write(self, descriptor: int, data: bytes) -> None:
        with self._trace.lock:
            super().write(descriptor, data)
            inode, position = self._open[descriptor]
            self._trace.add(Write(inode, position, bytes(data)))
            self._open[descriptor] = (inode, position + len(data))

    def sync(self, descriptor: int) -> None:
        with self._trace.lock:
            super().sync(descriptor)
            self._trace.add(Sync(self._open[descriptor][0], "blob"))

    def rename(self, old: Path, new: Path) -> None:
        with self._trace.lock:
            super().rename(old, new)
            inode = self._trace.inode(old)
            self._trace.name(new, inode)
            self._trace.name(old, None)

    def link(self, old: Path, new: Path) -> None:
        with self._trace.lock:
            super().link(old, new)
            self._trace.name(new, self._trace.inode(old))

    def remove(self, path: Path) -> None:
        with self._trace.lock:
            present = path.exists()
            super().remove(path)
            if present:
                self._trace.name(path, None)

    def make_directory(self, path: Path) -> bool:
        with self._trace.lock:
            made = super().make_directory(path)
            if made:
                self._trace.create(path, is_directory=True)
            return made

    def sync_directory(self, path: Path) -> None:
        with self._trace.lock:
            super().sync_directory(path)
            depth = len(path.relative_to(self._trace.root).parts)
            role = ("data directory", "directory of blob directories", "directory of a blob")[depth]
            self._trace.sync_directory(path, role)


class RecordingVfs(apsw.VFS):
    """SQLite's unix VFS, with every change noted."""

    def __init__(self, name: str, trace: Trace) -> None:
        super().__init__(name, "unix")
        self._trace = trace

    def xOpen(self, name: Any, flags: list[int]) -> "RecordingFile":
        return RecordingFile(name, flags, self._trace)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        path = Path(filename)
        with self._trace.lock:
            super().xDelete(filename, syncdir)
            self._trace.name(path, None)
            if syncdir:  # os_unix.c, unixDelete
                self._trace.sync_directory(path.parent, "directory of the journal")


class RecordingFile(apsw.VFSFile):
    """One open file of SQLite. The shared memory of the log's index is none of ours: it does not outlive a crash."""

    def __init__(self, name: Any, flags: list[int], trace: Trace) -> None:
        text = name.filename() if isinstance(name, apsw.URIFilename) else name
        path = Path(text)
        self._trace, self._path = trace, path
        with trace.lock:
            existed = path.exists()
            super().__init__("unix", name, flags)
            known = trace.inode(path) if existed else trace.create(path)
            assert known is not None, f"{path} was made behind our back"
            self._inode = known
        # os_unix.c, unixOpen: UNIXFILE_DIRSYNC, for journals opened with CREATE, whether new or not
        self._sync_directory = bool(flags[0] & _JOURNALS and flags[0] & apsw.SQLITE_OPEN_CREATE)

    def xWrite(self, data: bytes, offset: int) -> None:
        with self._trace.lock:
            super().xWrite(data, offset)
            self._trace.add(Write(self._inode, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        with self._trace.lock:
            super().xTruncate(newsize)
            self._trace.add(Truncate(self._inode, newsize))

    def xSync(self, flags: int) -> None:
        with self._trace.lock:
            super().xSync(flags)
            kind = self._kind()
            self._trace.add(Sync(self._inode, self._role(kind)))
            if self._sync_directory:  # os_unix.c, unixSync: once, after the file
                self._sync_directory = False
                self._trace.sync_directory(self._path.parent, f"directory of the {kind}")

    def _kind(self) -> str:
        if self._path.name.endswith("-wal"):
            return "log"
        return "journal" if self._path.name.endswith("-journal") else "database"

    def _role(self, kind: str) -> str:
        if kind == "database":
            has_log = self._path.with_name(self._path.name + "-wal").exists()
            return "database, at a checkpoint" if has_log else "database, when it is made"
        if kind == "journal":
            return kind
        unsynced = self._trace.unsynced(self._inode)
        if not unsynced:
            return "log, nothing new"
        header = all(
            isinstance(w, Write) and w.offset + len(w.data) <= LOG_HEADER for w in unsynced
        )
        return "log header" if header else "log"


class RecordedDatabase(ApswDatabase):
    """Its log is folded when the recorder says so."""

    def __init__(self, path: Path, recorder: "Recorder") -> None:
        super().__init__(apsw.Connection(str(path), vfs=recorder.vfs_name))
        self.folds = recorder.take_checkpoint  # type: ignore[method-assign]


class Recorder:
    """A trace of a data directory, with the `files` and the `connect` to give to SqliteStore.start."""

    def __init__(self, root: Path, before: Sequence[Event] = ()) -> None:
        self.trace = Trace(root, before)
        self.files = RecordingFiles(self.trace)
        self.vfs_name = f"recording-{id(self):x}"
        self._vfs = RecordingVfs(self.vfs_name, self.trace)
        self._checkpoint = False

    def connect(self, path: Path) -> RecordedDatabase:
        return RecordedDatabase(path, self)

    def checkpoint(self) -> None:
        """Let the next commit be followed by a checkpoint, as a full log would."""
        self._checkpoint = True

    def take_checkpoint(self) -> bool:
        wanted, self._checkpoint = self._checkpoint, False
        return wanted

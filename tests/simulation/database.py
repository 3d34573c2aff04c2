"""SQLite on a simulated disk: a VFS in memory, and the connections of one process to it.

The log needs shared memory for its index when several connections use it, which a VFS of apsw cannot offer; so the
simulation has one connection, in exclusive mode, and what asks for the second gets the same one. Nothing is lost by
that: everything runs in one thread, so no reader is ever in the middle of a query while something is written.

SQLite's syncs of directories are those of its unix VFS (os_unix.c): after the first sync of a new log or journal, and
when a deletion asks for it.
"""

import contextlib
import functools
import random
from collections.abc import Callable, Sequence
from errno import ENOSPC, EROFS
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import apsw

from notqmail.store.database import Database
from tests.simulation.disk import Mount
from tests.support.apsw_database import NOTHING, ApswDatabase, ApswRows, as_sqlite3
from tests.support.disk import ROOT, SECTOR

P = ParamSpec("P")
T = TypeVar("T")

COMMITS = 15  # between two checkpoints, on average: a simulation is short, and should see some
_JOURNALS = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL
_ERRORS = {ENOSPC: apsw.FullError, EROFS: apsw.ReadOnlyError}


def _as_sqlite(operation: Callable[P, T]) -> Callable[P, T]:
    """Make the errors of the disk those that a VFS raises."""

    @functools.wraps(operation)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return operation(*args, **kwargs)
        except OSError as error:
            raise _ERRORS.get(error.errno or 0, apsw.IOError)(str(error)) from error

    return wrapper


class _QuietVfs(apsw.VFS):
    """Errors of the disk are expected, and SQLite passes them on: nothing needs to be printed."""

    def excepthook(self, etype: object, evalue: object, etraceback: object) -> bool:
        return True


class SimulatedVfs(_QuietVfs):
    """The files of SQLite for one process."""

    def __init__(self, name: str, mount: Mount) -> None:
        super().__init__(name, "")
        self.name, self._mount = name, mount

    @_as_sqlite
    def xOpen(self, name: Any, flags: list[int]) -> "SimulatedFile":  # type: ignore[override]
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        asked = flags[1] = flags[0]
        inode = self._mount.find(path)
        if inode is None:
            if not asked & apsw.SQLITE_OPEN_CREATE:
                raise apsw.CantOpenError(path)
            inode = self._mount.create(path)
        # os_unix.c, unixOpen: UNIXFILE_DIRSYNC, for journals opened with CREATE, whether new or not
        names_too = bool(asked & _JOURNALS and asked & apsw.SQLITE_OPEN_CREATE)
        return SimulatedFile(self._mount, inode, names_too=names_too)

    @_as_sqlite
    def xDelete(self, filename: str, syncdir: bool) -> None:
        if self._mount.find(filename) is None:
            raise apsw.exceptionfor(apsw.SQLITE_IOERR_DELETE_NOENT)
        self._mount.remove(filename)
        if syncdir:  # os_unix.c, unixDelete
            self._mount.sync(ROOT)

    @_as_sqlite
    def xAccess(self, pathname: str, flags: int) -> bool:
        inode = self._mount.find(pathname)
        # os_unix.c, unixAccess: an empty file is as good as none
        return inode is not None and self._mount.size(inode) > 0

    def xFullPathname(self, name: str) -> str:
        return name


class SimulatedFile:
    """An open file of SQLite, in the data directory: what apsw.VFSFile has for those that forward to another VFS."""

    def __init__(self, mount: Mount, inode: int, *, names_too: bool) -> None:
        self._mount, self._inode, self._names_too = mount, inode, names_too

    @_as_sqlite
    def xRead(self, amount: int, offset: int) -> bytes:
        return self._mount.read(self._inode, amount, offset)

    @_as_sqlite
    def xWrite(self, data: bytes, offset: int) -> None:
        data, done = bytes(data), 0
        while done < len(data):
            done += self._mount.write(self._inode, data[done:], offset + done)

    @_as_sqlite
    def xTruncate(self, newsize: int) -> None:
        self._mount.truncate(self._inode, newsize)

    @_as_sqlite
    def xSync(self, flags: int) -> None:
        self._mount.sync(self._inode)
        if self._names_too:  # os_unix.c, unixSync: once, after the file
            self._names_too = False
            self._mount.sync(ROOT)

    @_as_sqlite
    def xFileSize(self) -> int:
        return self._mount.size(self._inode)

    def excepthook(self, etype: object, evalue: object, etraceback: object) -> bool:
        """As the VFS."""
        return True

    def xClose(self) -> None:
        """Nothing is kept."""

    def xLock(self, level: int) -> None:
        """There is nobody else."""

    def xUnlock(self, level: int) -> None:
        """The same."""

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, op: int, pointer: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return SECTOR

    def xDeviceCharacteristics(self) -> int:
        return (
            apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE
        )  # the default of os_unix.c: a torn write damages nothing beside it


class _Seed(_QuietVfs):
    """Where SQLite gets its randomness from while this is the default: the salts of its logs come from the seed."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        super().__init__("seed", "", makedefault=True)

    def xRandomness(self, size: int) -> bytes:
        return self._chance.randbytes(size)


def _seed(chance: random.Random) -> None:
    vfs = _Seed(chance)
    apsw.randomness(0)
    apsw.randomness(1)
    vfs.unregister()


class _Main(ApswDatabase):
    """The one connection."""

    def __init__(self, connection: apsw.Connection, chance: random.Random) -> None:
        super().__init__(connection)
        self._chance = chance

    def folds(self) -> bool:
        return self._chance.random() * COMMITS < 1


class _Second:
    """The same connection for a reader, who must not set it up as his."""

    def __init__(self, main: _Main) -> None:
        self._main = main

    @property
    def in_transaction(self) -> bool:
        return self._main.in_transaction

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> ApswRows:
        return self._main.execute(NOTHING if sql.startswith("PRAGMA") else sql, parameters)

    def close(self) -> None:
        """The first one is closed last."""


class Databases:
    """The connections of one process. `connect` is for SqliteStore.start; `end` when the process is no more."""

    def __init__(self, mount: Mount, chance: random.Random) -> None:
        self._chance = chance
        self._main: _Main | None = None
        self._connection: apsw.Connection | None = None
        self._vfs = SimulatedVfs(f"simulated-{id(self):x}", mount)

    def connect(self, path: Path) -> Database:
        """Open the database; the second time, share it."""
        if self._main is not None:
            return _Second(self._main)
        _seed(self._chance)
        try:
            self._connection = apsw.Connection(str(path), vfs=self._vfs.name)
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY")
            self._main = _Main(self._connection, self._chance)
        except apsw.Error as error:
            raise as_sqlite3(error) from error
        return self._main

    def end(self) -> None:
        """Forget everything. Not while SQLite is at work, as it is when a crash comes in the middle of it."""
        self._main = None
        if self._connection is not None:
            with contextlib.suppress(apsw.Error, OSError):
                self._connection.close(force=True)
            self._connection = None
        self._vfs.unregister()

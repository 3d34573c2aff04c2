"""A disk in memory that fails when it is told to: full, read-only, slow, or gone in the middle of what was going on.

    disk = SimulatedDisk(random.Random(seed), Path("/data"))
    disk.crash_at(disk.operations + 17, "power")   # just before the 17th operation from now
    mount = disk.mount(on_crash)                   # what one process sees of it: for files.py and database.py
    disk.room = 0                                  # ENOSPC from now on; None: there is room again
    disk.crash("kill")                             # at this moment

Every change and every sync is one operation, whether SQLite, the blob store or a Maildir asks for it. What a power
failure leaves of the unsynced ones is what tests/support/disk.py says, by the seed; a process that is killed leaves
all of them to the operating system, and the next process finds them, still unsynced. Whoever is dead gets DeadError
for everything, and changes nothing.
"""

import errno
import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

from tests.simulation.tree import Tree, trouble
from tests.support.disk import ROOT, Change, Disk, Name, Sync, Truncate, Write, fate, write

Crash = Literal["kill", "power"]
FREE = 1 << 40  # octets that are free while there is room


class DeadError(OSError):
    """Whoever asks is dead: the power has failed, or the process was killed."""

    def __init__(self) -> None:
        super().__init__(errno.EIO, "the process that asks is dead")


class Notes(Protocol):
    """Where a disk says what happens; tests.simulation.trace.Trace is one."""

    def note(self, actor: str, event: str, *details: object) -> None: ...


class SimulatedDisk:
    """`root` is the data directory, which is there and empty. Weather may be changed at any time."""

    def __init__(self, chance: random.Random, root: Path, notes: Notes | None = None) -> None:
        self.root, self.chance, self.notes = root, chance, notes
        self.room: int | None = None  # octets that files may still grow by
        self.read_only = False
        self.bad_syncs = 0.0  # how likely a sync fails
        self.slow = 0.0  # seconds an operation takes, at most
        self.operations = 0
        self.fingerprint = 0  # of all that was done
        self.tree = Tree()
        self._disk = Disk()
        self._due: tuple[int, Crash] | None = None
        self._took = 0.0
        self._mount: Mount | None = None

    def mount(self, on_crash: Callable[[], None]) -> "Mount":
        """Give the disk to a process; `on_crash` is called at once when it dies by a crash. One at a time."""
        assert self._mount is None or not self._mount.alive, "another process is using this disk"
        self._mount = Mount(self, on_crash)
        return self._mount

    def crash_at(self, operation: int, kind: Crash) -> None:
        """Crash just before the operation with this number, the first being 1."""
        self._due = operation, kind

    def crash(self, kind: Crash) -> None:
        """End the process that uses the disk; with "power", lose what is not certain."""
        self._due = None
        self.note(
            "%s after %d operations, fingerprint %08x", kind, self.operations, self.fingerprint
        )
        mount, self._mount = self._mount, None
        if mount is not None:
            mount.alive = False
        if kind == "power":
            self._disk = self._disk.crashed(self._survived())
            self.tree = Tree.of(self._disk, self.tree)
        if mount is not None:
            mount.on_crash()

    def _survived(self) -> Sequence[Change]:
        """Choose by the seed: nothing, everything, names alone, octets alone, or any of it with torn writes."""
        pending = self._disk.pending
        # crashes of one seed at neighbouring operations have not all the same fate
        chance = random.Random(f"{self.chance.random()} {self.operations}")
        match chance.randrange(8):
            case 0:
                return []
            case 1:
                return pending
            case 2:
                return [c for c in pending if isinstance(c, Name)]
            case 3:
                return [c for c in pending if not isinstance(c, Name)]
        return fate(pending, chance)

    def content(self) -> Mapping[str, bytes]:
        """Give every file that can be seen now, by its path below the root."""
        return self.tree.content()

    def take_time(self) -> float:
        """Give the seconds that the operations since the last call have taken."""
        took, self._took = self._took, 0.0
        return took

    def note(self, event: str, *details: object) -> None:
        if self.notes is not None:
            self.notes.note("disk", event, *details)

    # -- for Mount --------------------------------------------------------------------------------------------

    def begin(self, what: str, path: object) -> None:
        """Count an operation; the crash that is due happens before it."""
        if self._due is not None and self.operations + 1 >= self._due[0]:
            self.crash(self._due[1])
            raise DeadError
        self.operations += 1
        self.note("%d %s %s", self.operations, what, path)
        if self.slow:
            self._took += self.slow * self.chance.random()
        if self.read_only and what != "sync":
            raise trouble(errno.EROFS, path)

    def fits(self, size: int, path: object) -> int:
        """Give how many of `size` new octets have room. Raises ENOSPC when none of them has."""
        if self.room is None or size <= 0:
            return size
        fitting = min(size, self.room)
        if not fitting:
            raise trouble(errno.ENOSPC, path)
        self.room -= fitting
        return fitting

    def change(self, event: Change) -> None:
        """Let it happen: visible at once, certain after a sync."""
        match event:
            case Write(inode, offset, data):
                self._print(data, inode, offset)
                write(self.tree.files[inode], event)
            case Truncate(inode, size):
                self._print(b"cut", inode, size)
                write(self.tree.files[inode], event)
            case Name(directory, name, None):
                self._print(name.encode(), directory, 0)
                self.tree.names[directory].pop(name, None)
            case Name(directory, name, int(target)):
                self._print(name.encode(), directory, target)
                self.tree.names[directory][name] = target
        self._disk.apply(event)

    def _print(self, what: bytes, *numbers: int) -> None:
        self.fingerprint = zlib.crc32(what, self.fingerprint + sum(numbers) & 0xFFFFFFFF)

    def sync(self, inode: int, path: object) -> None:
        """Make certain what is pending for a file or directory. When that fails once, the kernel takes what was
        written to a file for clean: a later sync of the same octets says nothing about them."""
        self._print(b"sync", inode, 0)
        if self.bad_syncs and self.chance.random() < self.bad_syncs:
            if inode in self.tree.files:
                pending = self._disk.unsynced.get(inode, [])
                self._disk.lose(inode, fate(pending, self.chance))
            raise trouble(errno.EIO, path)
        self._disk.apply(Sync(inode, ""))


class Mount:
    """The disk as one process sees it. Paths are absolute or below an open directory `base`; raises OSError, and
    DeadError when the process is dead."""

    def __init__(self, disk: SimulatedDisk, on_crash: Callable[[], None]) -> None:
        self.on_crash = on_crash
        self.alive = True
        self._disk = disk
        self._root = f"{disk.root}/"

    @property
    def disk(self) -> SimulatedDisk:
        """The disk, for one who is alive."""
        if not self.alive:
            raise DeadError
        return self._disk

    def leave(self) -> None:
        """The process has ended by itself."""
        self.alive = False

    # -- looking: no operation, a crash before it is one after it ----------------------------------------------------

    def find(self, path: str, base: int = ROOT) -> int | None:
        """Give the inode of a path, None when it is not there."""
        return self.disk.tree.find(self._below(path), base)

    def need(self, path: str, base: int = ROOT) -> int:
        """Give the inode of a path that is there."""
        inode = self.find(path, base)
        if inode is None:
            raise trouble(errno.ENOENT, path)
        return inode

    def read(self, inode: int, size: int, offset: int) -> bytes:
        return bytes(self.disk.tree.files[inode][offset : offset + size])

    def size(self, inode: int) -> int:
        return len(self.disk.tree.files[inode])

    def list(self, inode: int) -> Sequence[str]:
        """Give the names in a directory."""
        return sorted(self.disk.tree.names[inode])

    def free(self) -> int:
        """Octets that may still be written."""
        return FREE if self.disk.room is None else self.disk.room

    # -- changing: each an operation ------------------------------------------------------------------------------

    def create(self, path: str, base: int = ROOT, *, directory: bool = False) -> int:
        """Make a file or directory that is not there yet; give its inode."""
        disk = self._begin("make", path)
        parent, name = disk.tree.place(self._below(path), base)
        if name in disk.tree.names[parent]:
            raise trouble(errno.EEXIST, path)
        disk.fits(1, path)
        inode = disk.tree.number()
        if directory:
            disk.tree.names[inode] = {}
        else:
            disk.tree.files[inode] = bytearray()
        disk.change(Name(parent, name, inode, directory))
        return inode

    def write(self, inode: int, data: bytes, offset: int) -> int:
        """Write what there is room for; give how many octets."""
        disk = self._begin("write", inode)
        growth = max(0, offset + len(data) - self.size(inode))
        done = len(data) - growth + disk.fits(growth, inode)
        disk.change(Write(inode, offset, data[:done]))
        return done

    def truncate(self, inode: int, size: int) -> None:
        self._begin("truncate", inode).change(Truncate(inode, size))

    def sync(self, inode: int) -> None:
        """Return when the octets of a file, or the names in a directory, are on the disk."""
        self._begin("sync", inode).sync(inode, inode)

    def rename(self, old: str, new: str, old_base: int = ROOT, new_base: int = ROOT) -> None:
        disk = self._begin("rename", new)
        inode = self.need(old, old_base)
        place = disk.tree.place(self._below(new), new_base)
        disk.change(Name(*place, inode, inode in disk.tree.names))
        disk.change(Name(*disk.tree.place(self._below(old), old_base), None))

    def link(self, old: str, new: str) -> None:
        """Give a file a second name."""
        disk = self._begin("link", new)
        inode = self.need(old)
        place = disk.tree.place(self._below(new))
        if place[1] in disk.tree.names[place[0]]:
            raise trouble(errno.EEXIST, new)
        disk.fits(1, new)
        disk.change(Name(*place, inode))

    def remove(self, path: str, base: int = ROOT) -> None:
        """Take a name away that is there."""
        disk = self._begin("remove", path)
        self.need(path, base)
        disk.change(Name(*disk.tree.place(self._below(path), base), None))

    def _begin(self, what: str, path: object) -> SimulatedDisk:
        disk = self.disk
        disk.begin(what, path)
        return disk

    def _below(self, path: str) -> str:
        """Give an absolute path as one below the root."""
        if not path.startswith("/"):
            return path
        if path == self._root[:-1]:
            return ""
        if not path.startswith(self._root):
            raise trouble(errno.ENOENT, path)
        return path[len(self._root) :]

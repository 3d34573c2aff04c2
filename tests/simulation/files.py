"""The file operations of the blob store and of Maildirs, on a simulated disk."""

import errno
import os
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

from notqmail.delivery import files as delivery
from notqmail.store import files as store
from tests.simulation.disk import Mount
from tests.simulation.tree import trouble
from tests.support.disk import ROOT


class Descriptors:
    """What a process has open: the inode and the position of each."""

    def __init__(self, mount: Mount) -> None:
        self.mount = mount
        self.open: dict[int, tuple[int, int]] = {}
        self._numbers = count(3)

    def add(self, inode: int) -> int:
        descriptor = next(self._numbers)
        self.open[descriptor] = inode, 0
        return descriptor

    def inode(self, descriptor: int | None) -> int:
        """Give what is open there; the root for None."""
        return ROOT if descriptor is None else self.open[descriptor][0]

    def write(self, descriptor: int, data: Any) -> int:
        """Write as write(2) does: maybe not all of it."""
        inode, position = self.open[descriptor]
        done = self.mount.write(inode, bytes(data), position)
        self.open[descriptor] = inode, position + done
        return done

    def close(self, descriptor: int) -> None:
        del self.open[descriptor]


class BlobFiles(store.Files):
    """store.files.Files on a simulated disk."""

    def __init__(self, mount: Mount) -> None:
        self._mount, self._descriptors = mount, Descriptors(mount)

    def create(self, path: Path) -> int:
        return self._descriptors.add(self._mount.create(str(path)))

    def open(self, path: Path) -> int:
        return self._descriptors.add(self._mount.need(str(path)))

    def read(self, descriptor: int, size: int, offset: int) -> bytes:
        return self._mount.read(self._descriptors.inode(descriptor), size, offset)

    def exists(self, path: Path) -> bool:
        return self._mount.find(str(path)) is not None

    def write(self, descriptor: int, data: bytes) -> None:
        while data:
            data = data[self._descriptors.write(descriptor, data) :]

    def sync(self, descriptor: int) -> None:
        self._mount.sync(self._descriptors.inode(descriptor))

    def close(self, descriptor: int) -> None:
        self._descriptors.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        self._mount.rename(str(old), str(new))

    def link(self, old: Path, new: Path) -> None:
        self._mount.link(str(old), str(new))

    def remove(self, path: Path) -> None:
        if self._mount.find(str(path)) is not None:
            self._mount.remove(str(path))

    def make_directory(self, path: Path) -> bool:
        if self._mount.find(str(path)) is not None:
            return False
        self._mount.create(str(path), directory=True)
        return True

    def sync_directory(self, path: Path) -> None:
        self._mount.sync(self._mount.need(str(path)))

    def names(self, path: Path) -> Sequence[str]:
        return self._mount.list(self._mount.need(str(path)))

    def free(self, path: Path) -> int:
        return self._mount.free()


class MailFiles(delivery.Files):
    """delivery.files.Files on a simulated disk, on which owners and modes mean nothing."""

    def __init__(self, mount: Mount) -> None:
        self._mount, self._descriptors = mount, Descriptors(mount)

    def write(self, fd: int, data: Any) -> int:
        return self._descriptors.write(fd, data)

    def close(self, fd: int) -> None:
        self._descriptors.close(fd)

    def open(  # type: ignore[override]
        self, path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None
    ) -> int:
        mount, base = self._mount, self._descriptors.inode(dir_fd)
        inode = mount.find(path, base)
        if inode is None and flags & os.O_CREAT:
            inode = mount.create(path, base)
        elif inode is None:
            raise trouble(errno.ENOENT, path)
        elif flags & os.O_EXCL:
            raise trouble(errno.EEXIST, path)
        return self._descriptors.add(inode)

    def fsync(self, fd: int) -> None:  # type: ignore[override]
        self._mount.sync(self._descriptors.inode(fd))

    def rename(self, src: str, dst: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:  # type: ignore[override]
        inode = self._descriptors.inode
        self._mount.rename(src, dst, inode(src_dir_fd), inode(dst_dir_fd))

    def unlink(self, path: str, *, dir_fd: int | None = None) -> None:  # type: ignore[override]
        self._mount.remove(path, self._descriptors.inode(dir_fd))

    def mkdir(self, path: str, mode: int = 0o777) -> None:  # type: ignore[override]
        if self._mount.find(path) is not None:
            raise trouble(errno.EEXIST, path)
        self._mount.create(path, directory=True)

    def rmdir(self, path: str) -> None:  # type: ignore[override]
        self._mount.remove(path)

    def listdir(self, fd: int) -> list[str]:  # type: ignore[override]
        return list(self._mount.list(self._descriptors.inode(fd)))

    def chmod(self, path: str, mode: int) -> None:  # type: ignore[override]
        """Everything is everybody's."""

    def fchmod(self, fd: int, mode: int) -> None:
        """The same."""

    def start_writeback(self, fd: int) -> None:  # type: ignore[override]
        """Only a hint."""

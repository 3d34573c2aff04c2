"""Files and directories as the operating system shows them: what was written is there, on the disk or not."""

import errno
import os
from collections.abc import Iterator, Mapping

from tests.support.disk import ROOT, Disk


def trouble(number: int, path: object) -> OSError:
    """Give the error that a system call would raise."""
    return OSError(number, os.strerror(number), str(path))


class Tree:
    """By inode: the octets of files, the names in directories. Paths are relative to the root, without `..`."""

    def __init__(self) -> None:
        self.files: dict[int, bytearray] = {}
        self.names: dict[int, dict[str, int]] = {ROOT: {}}
        self._next = ROOT + 1

    @classmethod
    def of(cls, disk: Disk, after: "Tree") -> "Tree":
        """Show a disk on which nothing is pending. Inodes of `after` are not given out again."""
        tree = cls()
        tree._next = after._next
        tree._show(disk, ROOT)
        return tree

    def _show(self, disk: Disk, directory: int) -> None:
        entries = self.names[directory] = dict(disk.names.get(directory, {}))
        for inode in entries.values():
            if inode in disk.directories:
                self._show(disk, inode)
            else:
                self.files[inode] = bytearray(disk.files.get(inode, b""))

    def number(self) -> int:
        """Give the inode of a file or directory that is about to be made."""
        self._next += 1
        return self._next - 1

    def find(self, path: str, base: int = ROOT) -> int | None:
        """Give what has that path below a directory; None when nothing has."""
        inode: int | None = base
        for part in path.split("/") if path else ():
            inode = self.names.get(inode, {}).get(part) if inode is not None else None
        return inode

    def place(self, path: str, base: int = ROOT) -> tuple[int, str]:
        """Give the directory and the name in it that a path means. Raises OSError when there is no such directory."""
        above, _, name = path.rpartition("/")
        inode = self.find(above, base)
        if inode is None:
            raise trouble(errno.ENOENT, path)
        if inode not in self.names:
            raise trouble(errno.ENOTDIR, path)
        return inode, name

    def walk(self, directory: int = ROOT, above: str = "") -> Iterator[tuple[str, bytes]]:
        """Give every file, with its path."""
        for name, inode in sorted(self.names[directory].items()):
            if inode in self.names:
                yield from self.walk(inode, f"{above}{name}/")
            else:
                yield above + name, bytes(self.files[inode])

    def content(self) -> Mapping[str, bytes]:
        """Give all files by their paths."""
        return dict(self.walk())

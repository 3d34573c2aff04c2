"""The file operations of local delivery recorded, and the disk a power failure at some point of them leaves behind, by
the model of tests/support/disk.py."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from notqmail.delivery.files import Files
from tests.support.disk import ROOT, Disk, Event, Name, Sync, Write


@dataclass(frozen=True)
class Op:
    """One operation. `path` is absolute; `node` tells files apart whatever they are called."""

    kind: str  # mkdir | create | write | fsync | rename | unlink
    path: str
    node: int = 0
    to: str = ""
    data: bytes = b""


Survives = Callable[[int, Op], bool]


def nothing(_index: int, _op: Op) -> bool:
    """What was not fsynced is lost."""
    return False


def names_only(_index: int, op: Op) -> bool:
    """The file system wrote its names first, and the octets never."""
    return op.kind != "write"


def everything(_index: int, _op: Op) -> bool:
    """It was all written after all."""
    return True


class RecordedFiles(Files):
    """Does what `Files` does, on the real disk, and keeps the list."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self._open: dict[int, tuple[str, int]] = {}
        self._nodes = 0

    def _at(self, path: str, dir_fd: int | None) -> str:
        return path if dir_fd is None else f"{self._open[dir_fd][0]}/{path}"

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        where = self._at(path, dir_fd)
        new = bool(flags & os.O_CREAT) and not Path(where).exists()
        fd = os.open(path, flags, mode, dir_fd=dir_fd)
        if new:
            self._nodes += 1
            self.ops.append(Op("create", where, self._nodes))
        self._open[fd] = where, self._nodes if new else 0
        return fd

    def write(self, fd: int, data: Any) -> int:
        done = os.write(fd, data)
        self.ops.append(Op("write", *self._open[fd], data=bytes(data[:done])))
        return done

    def fsync(self, fd: int) -> None:  # type: ignore[override]
        os.fsync(fd)
        self.ops.append(Op("fsync", *self._open[fd]))

    def rename(self, src: str, dst: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:  # type: ignore[override]
        os.rename(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        self.ops.append(Op("rename", self._at(src, src_dir_fd), to=self._at(dst, dst_dir_fd)))

    def unlink(self, path: str, *, dir_fd: int | None = None) -> None:  # type: ignore[override]
        os.unlink(path, dir_fd=dir_fd)
        self.ops.append(Op("unlink", self._at(path, dir_fd)))

    def mkdir(self, path: str, mode: int) -> None:  # type: ignore[override]
        super().mkdir(path, mode)
        self.ops.append(Op("mkdir", path))


def after_crash(ops: Sequence[Op], root: Path, survives: Survives) -> dict[str, bytes]:
    """Give the files that are found below `root` after a power failure behind the last of `ops`."""
    disk, inodes = Disk(), {str(root): ROOT}
    sizes: Counter[int] = Counter()
    origin: dict[int, int] = {}  # which operation a change belongs to
    changes: list[Event] = []  # kept, so that they can be told apart by their identity
    for index, op in enumerate(ops):
        for event in _events(op, inodes, sizes):
            changes.append(event)
            origin[id(event)] = index
            disk.apply(event)
    survived = [c for c in disk.pending if survives(at := origin[id(c)], ops[at])]
    found = disk.after_crash(survived)
    return {f"{root}/{path}": octets for path, octets in found.items() if octets is not None}


def _events(op: Op, inodes: dict[str, int], sizes: Counter[int]) -> Iterator[Event]:
    """Say it in the words of the disk model. `inodes` is what each path means now."""
    above, _, name = op.path.rpartition("/")
    match op.kind:
        case "write":
            yield Write(op.node, sizes[op.node], op.data)
            sizes[op.node] += len(op.data)
        case "fsync":
            yield Sync(op.node or inodes[op.path], op.path)
        case "mkdir":
            inodes[op.path] = -len(inodes)  # files have positive numbers
            yield Name(inodes[above], name, inodes[op.path], is_directory=True)
        case "create":
            inodes[op.path] = op.node
            yield Name(inodes[above], name, op.node)
        case "unlink":
            yield Name(inodes[above], name, None)
        case "rename":
            there, _, new = op.to.rpartition("/")
            inodes[op.to] = inodes.pop(op.path)
            yield Name(inodes[there], new, inodes[op.to])
            yield Name(inodes[above], name, None)

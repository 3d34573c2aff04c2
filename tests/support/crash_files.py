"""File operations recorded, and the disk a power failure at some point of them leaves behind.

The model is the harshest that fsync(2) allows. A file's octets survive from its fsync on; a name survives from the
fsync of its directory on; whatever has not been fsynced survives or not, each operation for itself, in any order.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from notqmail.delivery.files import Files


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
    directories, files, octets = {str(root)}, dict[str, int](), dict[int, bytes]()

    def kept(index: int, op: Op, path: str, node: int = -1) -> bool:
        synced = any(
            later.kind == "fsync" and (later.path == path if node < 0 else later.node == node)
            for later in ops[index + 1 :]
        )
        return synced or survives(index, op)

    for index, op in enumerate(ops):
        parent = str(Path(op.path).parent)
        if op.kind == "write" and kept(index, op, op.path, op.node):
            octets[op.node] = octets.get(op.node, b"") + op.data
        elif op.kind == "mkdir" and kept(index, op, parent):
            directories.add(op.path)
        elif op.kind == "create" and kept(index, op, parent):
            files[op.path] = op.node
        elif op.kind == "unlink" and kept(index, op, parent):
            files.pop(op.path, None)
        elif op.kind == "rename":
            node = _node(ops[:index], op.path)
            if kept(index, op, str(Path(op.to).parent)):
                files[op.to] = node
            if kept(index, op, parent):
                files.pop(op.path, None)
    return {
        path: octets.get(node, b"")
        for path, node in files.items()
        if all(str(above) in directories for above in _above(path, root))
    }


def _node(earlier: Sequence[Op], path: str) -> int:
    """Which file has this name now."""
    return next(op.node for op in reversed(earlier) if op.kind == "create" and op.path == path)


def _above(path: str, root: Path) -> list[Path]:
    return [p for p in Path(path).parents if p == root or root in p.parents]

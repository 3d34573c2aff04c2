"""Large content: one file for each message, written once, on disk before any row refers to it.

    blobs/tmp/N          being written, or left over by a crash
    blobs/CD/…CD         content of the message with that queue id, under its last two characters

A file becomes durable in four steps: its octets are synced, it is renamed to its place, the directory of that place
is synced (and, when that directory is new, the one above). Then, and only then, the row is committed. So a file
without a row is garbage, removed at the next start; a row without a file cannot come from a crash: an alarm.

Everything here that is not async blocks, and runs in the file threads.
"""

import asyncio
import errno
import logging
import re
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from notqmail.mail.errors import SpoolError
from notqmail.mail.message import CHUNK
from notqmail.store.files import Files

log = logging.getLogger(__name__)

READ = 4  # chunks read at a time
_ID = re.compile(r"[0-9A-Za-z_-]{2,64}")
_DIRECTORY = re.compile(r"tmp|[0-9A-Za-z_-]{2}")  # others, lost+found for one, are not ours
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn OSError into SpoolError."""
    try:
        yield
    except OSError as error:
        raise SpoolError(
            f"a file of the queue: {error.strerror} ({error.filename})", full=error.errno in _FULL
        ) from error


class BlobContent:
    """Content in a file. Opened anew for each READ chunks, so nothing is left open by a reader who goes away."""

    __slots__ = ("_files", "_pool", "path", "size")

    def __init__(self, path: Path, size: int, pool: Executor, files: Files) -> None:
        self.path = path
        self.size = size
        self._pool, self._files = pool, files

    @property
    def whole(self) -> bytes | None:
        return None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Read it; raises SpoolError when the disk fails or the file is gone."""
        loop = asyncio.get_running_loop()
        offset = 0
        while offset < self.size:
            with disk_errors():
                pieces = await loop.run_in_executor(
                    self._pool, _read, self._files, self.path, offset, self.size
                )
            for piece in pieces:
                offset += len(piece)
                yield piece


def _read(files: Files, path: Path, offset: int, size: int) -> list[bytes]:
    descriptor = files.open(path)
    try:
        starts = range(offset, min(offset + READ * CHUNK, size), CHUNK)
        pieces = [files.read(descriptor, min(CHUNK, size - start), start) for start in starts]
    finally:
        files.close(descriptor)
    if sum(map(len, pieces)) != min(READ * CHUNK, size - offset):
        raise OSError(errno.EIO, "shorter than it was", str(path))
    return pieces


class Spill:
    """A blob on its way, in a temporary file. Used by one thread at a time; raises SpoolError."""

    def __init__(self, blobs: "Blobs", path: Path) -> None:
        self._blobs = blobs
        self._files = blobs.files
        self.path = path
        self._descriptor = -1

    def write(self, data: bytes) -> None:
        """Add octets."""
        with disk_errors():
            if self._descriptor < 0:
                self._descriptor = self._files.create(self.path)
            self._files.write(self._descriptor, data)

    def keep(self, id: str) -> None:
        """Make it the durable content of message `id`; `path` is its place then."""
        with disk_errors():
            self._files.sync(self._descriptor)
            self._close()
            target = self._blobs.make_place(id)
            self._files.rename(self.path, target)
            self.path = target
            self._files.sync_directory(target.parent)

    def drop(self) -> None:
        """Remove it, in place or not; never raises."""
        try:
            self._close()
            self._files.remove(self.path)
        except OSError as error:
            log.warning("%s stays until the next start: %s", self.path, error.strerror)

    def _close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            self._files.close(descriptor)


class Blobs:
    """The directory of blob files."""

    def __init__(self, root: Path, files: Files) -> None:
        self.root = root
        self.files = files
        self._temporary = root / "tmp"
        self._numbers = count()
        self._shards: set[str] = set()

    def path(self, id: str) -> Path:
        """Where the content of message `id` is."""
        if _ID.fullmatch(id) is None:
            raise SpoolError(f"{id!r} is no queue id, and names no file")
        return self.root / id[-2:] / id

    def spill(self) -> Spill:
        """Begin a blob; the file is made by its first write."""
        return Spill(self, self._temporary / str(next(self._numbers)))

    def make_place(self, id: str) -> Path:
        """Give the path of a new blob, in a directory that is there and on disk."""
        target = self.path(id)
        if self.files.exists(target):  # a rename would replace another message's content
            raise FileExistsError(errno.EEXIST, "there already", str(target))
        shard = target.parent
        if shard.name not in self._shards:
            self.files.make_directory(shard)
            self.files.sync_directory(self.root)  # even when another thread made it just now
            self._shards.add(shard.name)
        return target

    def share(self, file: Path, id: str) -> Path | None:
        """Make the content of another message that of message `id` too, under a second name. None: this file
        system has no such thing. Raises SpoolError."""
        with disk_errors():
            target = self.make_place(id)
            try:
                self.files.link(file, target)
            except OSError:
                return None
            self.files.sync_directory(target.parent)
            return target

    def remove_all(self, ids: Iterable[str]) -> None:
        """Remove the content of messages that are gone; what cannot be removed now is at the next start."""
        for id in ids:
            try:
                self.files.remove(self.path(id))
            except OSError as error:
                log.warning("content of m=%s stays until the next start: %s", id, error.strerror)

    def prepare(self) -> None:
        """Make what is not there. A server that was killed may have made it without it being on disk yet."""
        self.files.make_directory(self.root)
        self.files.sync_directory(self.root.parent)
        self.files.make_directory(self._temporary)
        self.files.sync_directory(self.root)

    def sweep(self, referenced: Collection[str]) -> list[str]:
        """Remove temporary files and content no message refers to; give the ids whose content is missing."""
        expected = {self.path(id) for id in referenced}
        present: set[Path] = set()
        for directory in filter(_DIRECTORY.fullmatch, self.files.names(self.root)):
            self._shards.add(directory)
            for name in self.files.names(self.root / directory):
                path = self.root / directory / name
                if path in expected:
                    present.add(path)
                else:
                    self.files.remove(path)
        return sorted(path.name for path in expected - present)

"""The drop directory: where mail waits when the server is down.

Anybody may put a file in, nobody but its owner and the server may find it again: mode 1733 hides the names, and the
names cannot be guessed. A file is written under a name that begins with ".", synced, and renamed. It holds one JSON
line (`Dropped`) and the content. Its owner is its sender: the kernel set that.

Everything in here is hostile until proven otherwise. A file is opened without following links and without waiting,
and judged by its descriptor: a regular file with one name, which only its owner can write, complete, within the
limits. What is no such file and holds no mail is removed; what may be mail and is refused goes to DIR/data/refused.
"""

import asyncio
import contextlib
import errno
import heapq
import logging
import os
import secrets
import stat
import time
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from notqmail.config import Local
from notqmail.mail.errors import ConfigError, SpoolError
from notqmail.mail.message import CHUNK
from notqmail.mail.reply import Reply
from notqmail.smtp.content import OVERSIZE, spool_reply
from notqmail.system.submission import (
    FOREIGN,
    ContentCheck,
    LocalUser,
    RefusedError,
    Submission,
    Submit,
    envelope_of,
)
from notqmail.system.unix_socket import user_name

_log = logging.getLogger(__name__)
MODE = 0o1733
_REFUSED_MODE = 0o700
_ABANDONED = 36 * 3600  # seconds after which a file that nobody finished is removed
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NO_FILE = (errno.ELOOP, errno.ENXIO)  # a symbolic link, a socket
_WRITABLE_BY_OTHERS = 0o022

WRITABLE = Reply(554, "5.7.1", "others can write this file: its owner may not be its sender")


class Dropped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line of a file. `size` is octets of content: a file of another size is not whole."""

    notqmail: Literal["drop-1"]
    size: int
    submission: Submission


class _NotMailError(Exception):
    """A thing in the directory that holds no mail: a link, a FIFO, a socket, a second name of some file."""


@dataclass(frozen=True, slots=True)
class _Open:
    """A file that may be mail, read up to its content."""

    file: BinaryIO
    uid: int
    dropped: Dropped


def prepare(data: Path) -> None:
    """Make the drop directory and its neighbour for what is refused below `data`; raises ConfigError."""
    for path, mode in ((data / "drop", MODE), (data / "refused", _REFUSED_MODE)):
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            if path.is_symlink() or path.stat().st_uid != os.geteuid():
                raise ConfigError(
                    str(path), "it is not ours", "move it away, or give it to the server's user"
                )
            path.chmod(mode)
        except OSError as error:
            raise ConfigError(
                str(path),
                f"it cannot be made ({error.strerror})",
                "make data_dir writable for the user the server runs as",
            ) from None


def leave(directory: Path, submission: Submission, size: int, chunks: Iterable[bytes]) -> None:
    """Put a message of `size` octets into the drop directory, durably; raises OSError with nothing left behind."""
    name = f"{time.time_ns():x}-{secrets.token_hex(16)}"
    unfinished, finished = directory / f".{name}", directory / name
    descriptor = os.open(
        unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    with os.fdopen(descriptor, "wb") as file:
        try:
            head = Dropped("drop-1", size, submission)
            file.write(msgspec.json.encode(head) + b"\n")
            file.writelines(chunks)
            file.flush()
            os.fchmod(
                descriptor, 0o644
            )  # the server may be another user; others cannot find the name
            os.fsync(descriptor)
            unfinished.rename(finished)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        # The directory cannot be opened to be synced by who may not list it; syncing the file that was renamed
        # makes journalling file systems write the new name too.
        os.fsync(descriptor)


class DropDirectory:
    """Takes the messages out of DIR/data/drop and gives them to `submit`; call `prepare` first."""

    def __init__(self, data: Path, submit: Submit, hostname: str, limits: Local) -> None:
        self._drop, self._refused = data / "drop", data / "refused"
        self._submit, self._hostname, self._limits = submit, hostname, limits
        self._after = ""  # where the last look ended, so that what must wait does not hide what stands behind it

    async def run(self) -> None:
        """Look now and then, for good: mail may be dropped while the server starts."""
        while True:
            await self.collect()
            await asyncio.sleep(self._limits.drop_interval)

    async def collect(self) -> int:
        """Look once; say how many messages were queued. What cannot be queued now stays."""
        try:
            names = await asyncio.to_thread(self._look)
        except OSError as error:
            _log.error("drop directory cannot be read path=%s why=%s", self._drop, error.strerror)
            return 0
        taken = 0
        for name in names:
            taken += await self._take(name)
        return taken

    async def _take(self, name: str) -> bool:
        try:
            found = await asyncio.to_thread(self._open, name)
        except FileNotFoundError:  # its owner took it back
            return False
        except (
            OSError
        ) as error:  # of the machine or of the file's mode: it may be mail, so it stays
            _log.warning("drop unreadable file=%r why=%s", name, error.strerror)
            return False
        except _NotMailError as error:
            _log.warning("drop removed file=%r why=%s", name, error)
            await asyncio.to_thread(self._remove, name)
            return False
        except RefusedError as refusal:
            await self._set_aside(name, refusal.reply)
            return False
        try:
            reply = await self._hand_in(found)
        except RefusedError as refusal:
            reply = refusal.reply
        except SpoolError as error:
            reply = spool_reply(error)
        except Exception:
            _log.exception("drop failed file=%r uid=%d", name, found.uid)
            return False
        finally:
            found.file.close()
        if reply.permanent:
            await self._set_aside(name, reply)
        elif reply.positive:
            _log.info("drop queued file=%r uid=%d reply=%s", name, found.uid, reply)
            await asyncio.to_thread(self._remove, name)
        return reply.positive

    async def _hand_in(self, found: _Open) -> Reply:
        user = LocalUser(found.uid, await asyncio.to_thread(user_name, found.uid))
        envelope = envelope_of(found.dropped.submission, user, self._hostname, self._limits)
        async with aclosing(self._content(found)) as content:
            return await self._submit(user, envelope, content)

    async def _content(self, found: _Open) -> AsyncGenerator[bytes, None]:
        check = ContentCheck(self._limits)
        size = 0
        while chunk := await asyncio.to_thread(found.file.read, CHUNK):
            size += len(chunk)
            check.feed(chunk)
            yield chunk
        check.finish()
        if size != found.dropped.size:
            raise RefusedError(FOREIGN)

    def _look(self) -> list[str]:
        """Give the names to look at now, in order, and remove what was never finished."""
        with os.scandir(self._drop) as entries:
            names = heapq.nsmallest(self._limits.drop_files, self._names(entries))
        self._after = names[-1] if len(names) == self._limits.drop_files else ""
        return names

    def _names(self, entries: Iterator[os.DirEntry[str]]) -> Iterator[str]:
        abandoned = time.time() - _ABANDONED
        unfinished = 0
        for entry in entries:
            if not entry.name.startswith("."):
                if entry.name > self._after and not entry.is_dir(follow_symlinks=False):
                    yield entry.name
                continue
            unfinished += 1
            if unfinished <= self._limits.drop_files:
                with contextlib.suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_mtime < abandoned:
                        self._remove(entry.name)

    def _open(self, name: str) -> _Open:
        """Open and judge; raises RefusedError for what may be mail, _NotMailError for what is none, OSError."""
        try:
            file = os.fdopen(os.open(self._drop / name, _READ), "rb")
        except OSError as error:
            if error.errno in _NO_FILE:
                raise _NotMailError(error.strerror) from None
            raise
        try:
            found = os.fstat(file.fileno())
            self._judge(found)
            return _Open(file, found.st_uid, self._head(file))
        except BaseException:
            file.close()
            raise

    def _judge(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise _NotMailError("no regular file")
        if found.st_nlink != 1:
            raise _NotMailError("a second name of some file")
        if found.st_mode & _WRITABLE_BY_OTHERS:
            raise RefusedError(WRITABLE)
        if found.st_size > self._limits.message + self._limits.request:
            raise RefusedError(OVERSIZE)

    def _head(self, file: BinaryIO) -> Dropped:
        try:
            return msgspec.json.decode(file.readline(self._limits.request), type=Dropped)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise RefusedError(FOREIGN) from None

    def _remove(self, name: str) -> None:
        with contextlib.suppress(OSError):
            (self._drop / name).unlink()

    async def _set_aside(self, name: str, reply: Reply) -> None:
        kept = self._refused / secrets.token_hex(8)
        _log.warning("drop refused file=%r kept=%s reply=%s", name, kept, reply)
        with contextlib.suppress(OSError):
            await asyncio.to_thread((self._drop / name).rename, kept)

"""Unix sockets: bound where a dead server left its file, bounded in sessions, and aware of who is calling.

The kernel names the peer (SO_PEERCRED), so a local client needs no password. A path may be longer than the 107
octets a socket address holds: it is then reached through its directory's descriptor.
"""

import asyncio
import contextlib
import logging
import os
import pwd
import socket
import stat
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from notqmail.config import Local
from notqmail.mail.errors import ConfigError

_log = logging.getLogger(__name__)
_UCRED = struct.Struct("3i")  # pid, uid, gid: unix(7)
_MAX_PATH = 107
_BACKLOG = 128


class Peer(NamedTuple):
    """Who is on the other side, as the kernel saw it when the connection was made."""

    pid: int
    uid: int
    gid: int


Session = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Peer], Awaitable[None]]


def peer_of(sock: socket.socket) -> Peer:
    """Ask the kernel who connected."""
    return Peer(*_UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)))


def user_name(uid: int) -> str:
    """Give the login name of a user id, or "uid1000" when it has none; may block on the user database."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid{uid}"
    return name if name.isprintable() and name else f"uid{uid}"


def connect(path: Path, timeout: float) -> socket.socket:
    """Connect, waiting at most `timeout` seconds for this and for each later step; raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.settimeout(timeout)
        with _address(path) as address:
            sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def bind(path: Path, mode: int) -> socket.socket:
    """Make a listening socket file with exactly `mode`; blocks on the disk. The file of a dead server is replaced;
    ConfigError when one answers, or when something that is no socket stands there."""
    _clear(path)
    sock = socket.socket(
        socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    )
    try:
        os.fchmod(
            sock.fileno(), mode
        )  # the file is born with it (less the umask): no moment is open to all
        with _address(path) as address:
            sock.bind(address)
        path.chmod(mode)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise ConfigError(
            str(path),
            f"the socket cannot be made: {error.strerror}",
            "make data_dir writable for the user the server runs as",
        ) from None
    return sock


def _clear(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ConfigError(str(path), "this is no socket", "move it away")
    try:
        connect(path, 1.0).close()
    except OSError:
        path.unlink(missing_ok=True)
    else:
        raise ConfigError(str(path), "another server answers here", "stop it first")


@contextlib.contextmanager
def _address(path: Path) -> Iterator[str]:
    if len(os.fsencode(path)) <= _MAX_PATH:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


class UnixServer:
    """Accepts on one socket file and runs `session` for each caller, within the bounds of `limits`.

    `busy` is what a caller over the bounds is told. `stop` lets sessions finish for `grace` seconds.
    """

    def __init__(self, path: Path, mode: int, session: Session, limits: Local, busy: bytes) -> None:
        self._path, self._mode, self._busy = path, mode, busy
        self._session, self._limits = session, limits
        self._tasks: set[asyncio.Task[None]] = set()
        self._per_user: Counter[int] = Counter()
        self._server: asyncio.Server | None = None
        self._stopping = False

    async def start(self) -> None:
        """Bind and accept; raises ConfigError."""
        sock = await asyncio.to_thread(bind, self._path, self._mode)
        self._server = await asyncio.start_unix_server(
            self._accepted, sock=sock, limit=self._limits.request
        )

    async def stop(self, grace: float = 0.0) -> None:
        """Accept no more, let what runs finish for `grace` seconds, then cut it; the socket file goes."""
        self._stopping = True
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        await asyncio.to_thread(self._path.unlink, missing_ok=True)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        cut = [*self._tasks]
        for task in cut:
            task.cancel()
        await asyncio.gather(*cut, return_exceptions=True)
        await server.wait_closed()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._stopping:  # the loop had accepted it already
            writer.transport.abort()
            return
        peer = peer_of(writer.get_extra_info("socket"))
        if (
            len(self._tasks) >= self._limits.connections
            or self._per_user[peer.uid] >= self._limits.connections_per_user
        ):
            _log.warning("local socket busy path=%s uid=%d", self._path, peer.uid)
            writer.write(self._busy)
            writer.close()
            return
        self._per_user[peer.uid] += 1
        task = asyncio.create_task(self._run(reader, writer, peer))
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, writer, peer))

    async def _run(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Peer
    ) -> None:
        try:
            await self._session(reader, writer, peer)
            writer.close()
            async with asyncio.timeout(self._limits.timeout):
                await writer.wait_closed()
        except (OSError, EOFError):
            pass  # the caller has gone or does not read; there is nobody to tell
        except Exception:
            _log.exception("local session failed path=%s uid=%d", self._path, peer.uid)

    def _ended(self, writer: asyncio.StreamWriter, peer: Peer, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._per_user[peer.uid] -= 1
        if not self._per_user[peer.uid]:
            del self._per_user[peer.uid]
        writer.transport.abort()

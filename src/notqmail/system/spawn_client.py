"""The server's side of the spawn helper: started before privileges are dropped, asked from the event loop."""

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from notqmail.config import Config
from notqmail.mail.errors import AuthUnavailableError, ConfigError
from notqmail.system.shadow import Files
from notqmail.system.spawn import (
    CANNOT_RUN,
    NOT_ALLOWED,
    REPLY,
    REQUEST,
    TIMED_OUT,
    TOO_MANY,
)

_log = logging.getLogger(__name__)

_READY = 20.0  # seconds for an interpreter to start on a busy machine
# -I -S: nothing of the environment, the directory or site-packages; our package comes last on the path
_CODE = "import sys; sys.path.append(sys.argv[1]); from notqmail.system.spawn import main; main()"
_ROOT = Path(__file__).resolve().parents[2]
_WORDS = {
    TIMED_OUT: "took too long and was killed",
    TOO_MANY: "not started: too many at once",
    NOT_ALLOWED: "not allowed since the start; restart the server",
    CANNOT_RUN: "is missing or cannot be run",
}


@dataclass(frozen=True, slots=True)
class Powers:
    """What the helper may do. No command: it runs none; `system`: it checks passwords of system users."""

    command: tuple[str, ...] = ()
    command_timeout: float = 10.0  # seconds
    commands: int = 10  # at once
    system: bool = False
    system_timeout: float = 10.0
    checks: int = 2
    files: Files = field(default_factory=Files)

    @classmethod
    def of(cls, config: Config) -> "Powers":
        """Give what the configured account sources need of it."""
        auth = config.auth
        return cls(
            command=auth.checkpassword.command if "checkpassword" in auth.sources else (),
            command_timeout=auth.checkpassword.timeout,
            commands=auth.checkpassword.processes,
            system="system" in auth.sources,
            system_timeout=auth.system.timeout,
            checks=auth.checks,
        )

    def __bool__(self) -> bool:
        return bool(self.command) or self.system


class Helper(Protocol):
    """Who does a piece of work and gives its status. What it gives is never to be cancelled."""

    def ask(self, kind: int, body: bytes) -> "asyncio.Future[int]": ...


class SpawnClient:
    """Helper, with the process behind it. `start` blocks, and belongs before the event loop and before the user is
    changed; then all of it belongs to one event loop."""

    def __init__(self, sock: socket.socket, process: "subprocess.Popen[bytes]") -> None:
        self._sock, self._process = sock, process
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answers: dict[int, asyncio.Future[int]] = {}
        self._last_id = 0
        self._dead = False

    @classmethod
    def start(cls, powers: Powers, python: str = sys.executable) -> "SpawnClient":
        """Start the helper with the rights that this process has now. Raises ConfigError."""
        if powers.system and not os.access(powers.files.shadow, os.R_OK):
            raise ConfigError(
                "auth.sources",
                f'"system" needs {powers.files.shadow}, which cannot be read',
                "start as root with `user` set, or put the user it is started as in the group shadow",
            )
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                process = subprocess.Popen(  # noqa: S603  our own program
                    [
                        *(python, "-I", "-S", "-B", "-c", _CODE),
                        *(str(_ROOT), json.dumps(asdict(powers))),
                    ],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    start_new_session=True,  # no terminal
                    cwd="/",
                    env={},
                )
        except OSError as error:
            ours.close()
            raise _cannot_start(error.strerror or str(error)) from None
        client = cls(ours, process)
        ours.settimeout(_READY)
        try:
            ready = ours.recv(REPLY.size)
        except OSError:
            ready = b""
        if not ready:
            client.end()
            raise _cannot_start("it does not answer; the lines above say why")
        ours.setblocking(False)
        return client

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, kind: int, body: bytes) -> "asyncio.Future[int]":
        """Send a request and give the status to come. Raises AuthUnavailableError, and so may the future."""
        if self._loop is None and not self._dead:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._sock, self._readable)
        self._last_id = self._last_id % 0xFFFF_FFFF + 1
        try:
            self._sock.send(REQUEST.pack(kind, self._last_id) + body)
        except OSError:  # it has ended, or it has not read for a long time
            raise AuthUnavailableError("the spawn helper does not take requests") from None
        answer = asyncio.get_running_loop().create_future()
        self._answers[self._last_id] = answer
        return answer

    def _readable(self) -> None:
        try:
            reply = self._sock.recv(REPLY.size)
        except BlockingIOError:
            return
        except OSError:
            reply = b""
        if len(reply) != REPLY.size:
            self._ended()
            return
        id, status = REPLY.unpack(reply)
        if (answer := self._answers.pop(id, None)) is not None and not answer.done():
            answer.set_result(status)

    def _ended(self) -> None:
        _log.error("the spawn helper has ended, logins through it fail remedy=%r", "restart")
        self._forget()
        self._sock.close()

    def _forget(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._sock)
        self._loop, self._dead = None, True
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(AuthUnavailableError("the spawn helper has ended"))
                answer.exception()  # seen, though nobody may wait for it any longer
        self._answers.clear()

    async def close(self) -> None:
        """Let it end, with everything it has started."""
        self._forget()
        await asyncio.to_thread(self.end)

    def end(self) -> None:
        """The same, where there is no event loop (any longer); blocks until it has ended."""
        self._sock.close()
        try:
            self._process.wait(_READY)
        except subprocess.TimeoutExpired:
            with suppress(OSError):  # root's, and we are root no longer: it ends when it can
                self._process.kill()


def words(status: int) -> str:
    """Say in words how the work ended that gave neither yes nor no."""
    if status < 0:
        return f"was killed by signal {-status}"
    return _WORDS.get(status, f"ended with status {status}")


def _cannot_start(why: str) -> ConfigError:
    return ConfigError("auth.sources", f"the spawn helper cannot be started: {why}")

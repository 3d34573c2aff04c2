"""The control socket: how the command line asks the running server.

One request per connection. The request is one JSON line `{"op": "queue_list", "args": {...}}`; the answer is one
JSON line, `{"ok": true, "result": …}` or `{"ok": false, "error": "one sentence", "no": …}`, where `no` tells a refusal from
a failure. An operation that gives octets
answers `{"ok": true, "octets": true}` and then frames, each a decimal length, LF, so many octets; length 0 ends them,
so an answer that was cut short is never taken for whole.

Only root and the user the server runs as may ask.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any

import msgspec

from notqmail.config import Local
from notqmail.mail.errors import NotqmailError
from notqmail.queue.operations import OperationError
from notqmail.system.unix_socket import Peer, UnixServer, connect

_log = logging.getLogger(__name__)
_MODE = 0o600
_MAX_FRAME = 1 << 20

Operation = Callable[[Mapping[str, Any]], Awaitable[Any]]
"""Takes the arguments; gives what JSON can hold, or an AsyncIterator of octets. A NotqmailError is told to the caller."""


class ControlError(NotqmailError):
    """The server answered no, or cannot be asked; the text is one sentence."""


class AnsweredNoError(ControlError):
    """The server could do it and will not: no such message, nothing named."""


class ServerDownError(ControlError):
    """Nobody listens on the control socket: no server runs on this data directory."""


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a caller wants."""

    op: str
    args: dict[str, Any] = {}


class ControlServer:
    """Serves `operations`, a table from name to function, on `path` (mode 0600)."""

    def __init__(self, path: Path, operations: Mapping[str, Operation], limits: Local) -> None:
        self._operations, self._limits = operations, limits
        busy = _refusal("too many commands at once; try again")
        self._server = UnixServer(path, _MODE, self._session, limits, busy)

    async def start(self) -> None:
        """Accept callers; raises ConfigError."""
        await self._server.start()

    async def stop(self, grace: float = 0.0) -> None:
        """Let commands in progress finish for `grace` seconds, then end them."""
        await self._server.stop(grace)

    async def _session(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Peer
    ) -> None:
        if peer.uid not in (0, os.geteuid()):
            _log.warning("control refused uid=%d pid=%d", peer.uid, peer.pid)
            writer.write(_refusal("only root and the user the server runs as may do this"))
            return
        try:
            async with asyncio.timeout(self._limits.timeout):
                line = await reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            writer.write(_refusal(f"the request is longer than {self._limits.request} octets"))
            return
        except TimeoutError:
            writer.write(_refusal("no request came"))
            return
        try:
            result = await self._perform(line)
        except NotqmailError as error:
            writer.write(_refusal(str(error), no=isinstance(error, OperationError)))
            return
        except Exception:
            _log.exception("control operation failed request=%r", line[:200])
            writer.write(_refusal("this failed inside the server; its log says why"))
            return
        await self._answer(writer, result)

    async def _perform(self, line: bytes) -> Any:
        try:
            request = msgspec.json.decode(line, type=Request)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ControlError("the request is not in the form of this server") from None
        operation = self._operations.get(request.op)
        if operation is None:
            raise ControlError(f"the server does not know {request.op[:40]!r}; is it older?")
        return await operation(request.args)

    async def _answer(self, writer: asyncio.StreamWriter, result: Any) -> None:
        if not isinstance(result, AsyncIterator):
            await self._write(writer, _line({"ok": True, "result": result}))
            return
        await self._write(writer, _line({"ok": True, "octets": True}))
        async for chunk in result:
            for start in range(0, len(chunk), _MAX_FRAME):
                frame = chunk[start : start + _MAX_FRAME]
                await self._write(writer, b"%d\n%b" % (len(frame), frame))
        await self._write(writer, b"0\n")

    async def _write(self, writer: asyncio.StreamWriter, octets: bytes) -> None:
        writer.write(octets)
        async with asyncio.timeout(self._limits.timeout):
            await writer.drain()


def call(path: Path, op: str, args: Mapping[str, Any], timeout: float = 300.0) -> Any:
    """Ask the server and give its result; raises ControlError. `timeout` seconds bound each wait."""
    with _ask(path, op, args, timeout) as answer:
        return _head(answer).get("result")


def stream(path: Path, op: str, args: Mapping[str, Any], timeout: float = 300.0) -> Iterator[bytes]:
    """Ask the server for octets; raises ControlError, also when they end early."""
    with _ask(path, op, args, timeout) as answer:
        if not _head(answer).get("octets"):
            raise ControlError("the server's answer is not what was asked for")
        while (size := _frame_size(answer)) > 0:
            chunk = answer.read(size)
            if len(chunk) < size:
                raise ControlError("the server's answer ended early; run the command again")
            yield chunk


def _frame_size(answer: BufferedReader) -> int:
    line = answer.readline(16)
    if not (line.endswith(b"\n") and line[:-1].isdigit() and int(line) <= _MAX_FRAME):
        raise ControlError("the server's answer ended early; run the command again")
    return int(line)


@contextlib.contextmanager
def _ask(path: Path, op: str, args: Mapping[str, Any], timeout: float) -> Iterator[BufferedReader]:
    try:
        sock = connect(path, timeout)
    except (FileNotFoundError, ConnectionRefusedError):
        raise ServerDownError(f"no server runs on {path.parent}") from None
    except OSError as error:
        raise ControlError(
            f"{path}: the server cannot be asked ({error.strerror}); be root or the user it runs as"
        ) from None
    with sock, sock.makefile("rb") as answer:
        with contextlib.suppress(OSError):  # it answered already, or closed: reading tells which
            sock.sendall(_line({"op": op, "args": args}))
        try:
            yield answer
        except OSError as error:
            raise ControlError(
                f"the server stopped answering ({error.strerror or error}); its log says why"
            ) from None


def _head(answer: BufferedReader) -> dict[str, Any]:
    try:
        head = msgspec.json.decode(answer.readline(), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ControlError("the server ended without an answer; its log says why") from None
    if not head.get("ok"):
        kind = AnsweredNoError if head.get("no") else ControlError
        raise kind(str(head.get("error", "the server said no")))
    return head


def _line(value: Any) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def _refusal(error: str, *, no: bool = False) -> bytes:
    return _line({"ok": False, "error": error, "no": no})

"""The injection socket: how programs of this machine hand in mail (`sendmail`, `notqmail inject`).

One message per connection. The caller sends the line of `Submission`, then the content in frames, each a decimal
length, LF, so many octets; length 0 ends it, so a caller that dies half-way has sent nothing. The answer is one
JSON line with the fields of a Reply. Anybody may call (mode 0666): the kernel says who it is.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from pathlib import Path

import msgspec

from notqmail.config import Local
from notqmail.mail.errors import SpoolError
from notqmail.mail.message import CHUNK
from notqmail.mail.reply import Reply
from notqmail.smtp.content import spool_reply
from notqmail.system.submission import (
    FOREIGN,
    ContentCheck,
    LocalUser,
    RefusedError,
    Submission,
    Submit,
    envelope_of,
    read_submission,
    write_submission,
)
from notqmail.system.unix_socket import Peer, UnixServer, connect, user_name

_log = logging.getLogger(__name__)
_MODE = 0o666
_FRAME_LINE = 8  # octets of a length with its LF

BUSY = Reply(421, "4.3.2", "too many local submissions at once; try again")
SILENT = Reply(421, "4.4.2", "nothing came for too long; send it again")
ENVELOPE_SIZE = Reply(552, "5.3.4", "the envelope is larger than this server takes")
FAILED = Reply(451, "4.3.0", "an error on our side; the server's log says which")


class InjectServer:
    """Takes messages on `path` and gives them to `submit`. `hostname` completes the sender of who gives none."""

    def __init__(self, path: Path, submit: Submit, hostname: str, limits: Local) -> None:
        self._submit, self._hostname, self._limits = submit, hostname, limits
        self._server = UnixServer(path, _MODE, self._session, limits, _answer(BUSY))

    async def start(self) -> None:
        """Accept callers; raises ConfigError."""
        await self._server.start()

    async def stop(self, grace: float = 0.0) -> None:
        """Let messages that are coming in finish for `grace` seconds, then cut them off."""
        await self._server.stop(grace)

    async def _session(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Peer
    ) -> None:
        user = LocalUser(peer.uid, await asyncio.to_thread(user_name, peer.uid))
        try:
            reply = await self._message(reader, user)
        except RefusedError as refusal:
            reply = refusal.reply
        except SpoolError as error:
            reply = spool_reply(error)
        except TimeoutError:
            reply = SILENT
        except (OSError, EOFError):
            _log.info("injection broken off uid=%d pid=%d", peer.uid, peer.pid)
            return
        except Exception:
            _log.exception("injection failed uid=%d pid=%d", peer.uid, peer.pid)
            reply = FAILED
        writer.write(_answer(reply))

    async def _message(self, reader: asyncio.StreamReader, user: LocalUser) -> Reply:
        try:
            async with asyncio.timeout(self._limits.timeout):
                line = await reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            raise RefusedError(ENVELOPE_SIZE) from None
        envelope = envelope_of(read_submission(line), user, self._hostname, self._limits)
        async with aclosing(self._content(reader)) as content:
            return await self._submit(user, envelope, content)

    async def _content(self, reader: asyncio.StreamReader) -> AsyncGenerator[bytes, None]:
        check = ContentCheck(self._limits)
        deadline = asyncio.get_running_loop().time() + self._limits.message_timeout
        while chunk := await self._frame(reader, deadline):
            check.feed(chunk)
            yield chunk
        check.finish()

    async def _frame(self, reader: asyncio.StreamReader, deadline: float) -> bytes:
        patience = asyncio.get_running_loop().time() + self._limits.timeout
        async with asyncio.timeout_at(min(patience, deadline)):
            try:
                line = await reader.readuntil(b"\n")
            except asyncio.LimitOverrunError:
                raise RefusedError(FOREIGN) from None
            if len(line) > _FRAME_LINE or not line[:-1].isdigit() or int(line) > CHUNK:
                raise RefusedError(FOREIGN)
            return await reader.readexactly(int(line))


class NotTakenError(Exception):
    """The server is not there, or went away before it answered: nobody has said that it has the message."""


def inject(
    path: Path, submission: Submission, chunks: Iterable[bytes], timeout: float = 600.0
) -> Reply:
    """Hand a message to the running server and give its answer; raises NotTakenError. `timeout` seconds bound
    each wait; a chunk has at most CHUNK octets."""
    try:
        with connect(path, timeout) as sock, sock.makefile("rb") as answer:
            with contextlib.suppress(ConnectionError):  # it may have refused already
                sock.sendall(write_submission(submission))
                for chunk in chunks:
                    if chunk:
                        sock.sendall(b"%d\n%b" % (len(chunk), chunk))
                sock.sendall(b"0\n")
            return _reply(answer.readline())
    except OSError as error:
        raise NotTakenError(error.strerror or str(error)) from None


class _Answer(msgspec.Struct, frozen=True):
    code: int
    enhanced: str
    text: str


def _answer(reply: Reply) -> bytes:
    return msgspec.json.encode(_Answer(reply.code, reply.enhanced, reply.text)) + b"\n"


def _reply(line: bytes) -> Reply:
    try:
        answer = msgspec.json.decode(line, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise NotTakenError("it ended without an answer") from None
    return Reply(answer.code, answer.enhanced, answer.text)

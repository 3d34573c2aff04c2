"""A scriptable SMTP server on loopback: what delivery meets out there.

    async with SmtpPeer(replies={"RCPT bob@example.net": "550 5.1.1 no such user"}) as peer:
        outbound = Outbound(port=peer.port)
    peer.messages        # every message that was taken: sender, recipients, octets as sent (dots undone)
    peer.received        # every message whose end has come, taken or not
    peer.sessions        # every connection: its command lines in order, whether it had TLS

`replies` maps a command to what is said to it: a verb ("MAIL"), a verb with its address ("RCPT bob@example.net"),
"BANNER", "DATA" (to the command) or "." (to the message). An answer is a reply, or one of

    CLOSE           hang up                       STALL           say nothing, keep the connection
    Raw(b"...")     these octets, whatever they are, and keep going
    Raw(b"...", then=CLOSE)
    [a, b]          the first time a, from then on b

`login` answers AUTH: a generator function of the mechanism and the initial response (None without) that yields what to
say ("334 …") and is sent what comes, and whose value is the last reply. `implicit` is TLS from the first octet.

A reply 421 closes after it. `lines` is the EHLO reply after our name; None refuses EHLO with 502.
"""

import asyncio
import contextlib
import re
import ssl
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from types import TracebackType

from tests.support.waiting import shared_port

HOST = "127.0.0.1"

PIPELINED = ("PIPELINING", "SIZE 10000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")


class Act(Enum):
    """What is done instead of an answer."""

    CLOSE = auto()
    STALL = auto()


CLOSE, STALL = Act.CLOSE, Act.STALL


@dataclass(frozen=True)
class Raw:
    """Octets in place of a reply."""

    octets: bytes
    then: Act | None = None


Answer = str | Act | Raw
Login = Callable[[str, str | None], Generator[str, str, str]]
Answers = Answer | Sequence[Answer]

_OK = {
    "BANNER": "220 peer.example ESMTP",
    "HELO": "250 peer.example",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go ahead",
    ".": "250 2.0.0 taken",
    "RSET": "250 2.0.0 reset",
    "NOOP": "250 2.0.0 ok",
    "QUIT": "221 2.0.0 bye",
    "STARTTLS": "220 2.0.0 ready",
}
_PATH = re.compile(r"^(?:MAIL FROM|RCPT TO):<(.*?)>(?: |$)", re.IGNORECASE)


@dataclass
class Taken:
    """A message that the peer accepted."""

    sender: str
    recipients: list[str]
    content: bytes


@dataclass
class PeerSession:
    """One connection. `commands` are the lines as they came, TLS or not."""

    commands: list[str] = field(default_factory=list)
    tls: bool = False
    ended: bool = False

    @property
    def verbs(self) -> list[str]:
        """The commands by their first word."""
        return [line.split(" ")[0] for line in self.commands]


class _HangUpError(Exception):
    """The script says so."""


class SmtpPeer:
    """The server. `port` 0 takes a free one; another `host` of 127.0.0.0/8 can share the port of a first peer."""

    def __init__(
        self,
        *,
        lines: Sequence[str] | None = PIPELINED,
        replies: Mapping[str, Answers] | None = None,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        login: Login | None = None,
        host: str = HOST,
        port: int = 0,
        cut: tuple[int, Act | bytes] | None = None,
    ) -> None:
        self.host, self.port = host, port
        self.sessions: list[PeerSession] = []
        self.received: list[Taken] = []
        self.messages: list[Taken] = []
        self._lines = lines
        self._replies = dict(replies or {})
        self._tls = tls
        self._implicit = tls if implicit else None
        self._login = login
        self._cut = cut  # after so many octets of a session: do this, or say this and hang up
        self._told: dict[str, int] = {}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def commands(self) -> list[str]:
        """The command lines of all sessions."""
        return [line for session in self.sessions for line in session.commands]

    async def __aenter__(self) -> "SmtpPeer":
        port = self.port
        if not port and self.host == HOST:
            port = shared_port(HOST, "127.0.0.2", "127.0.0.3")
        self._server = await asyncio.start_server(
            self._connected, self.host, port, limit=1 << 26, ssl=self._implicit
        )
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        session = PeerSession()
        self.sessions.append(session)
        try:
            await _Dialogue(self, session, reader, writer).run()
        except (_HangUpError, ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        except asyncio.CancelledError:
            writer.transport.abort()  # the test is over
        finally:
            session.ended = True
            writer.close()
            # a handshake that came to nothing is never told as the end of the connection
            with contextlib.suppress(Exception, asyncio.CancelledError):
                async with asyncio.timeout(0.2):
                    await writer.wait_closed()

    def answer(self, key: str, verb: str) -> Answer:
        """What the script says to a command."""
        found = self._replies.get(key, self._replies.get(verb))
        if found is None:
            return self._greeting() if verb == "EHLO" else _OK.get(verb, "502 5.5.1 no")
        if isinstance(found, str | Act | Raw):
            return found
        nth = self._told.get(key, 0)
        self._told[key] = nth + 1
        return found[min(nth, len(found) - 1)]

    def _greeting(self) -> str:
        if self._lines is None:
            return "502 5.5.1 no"
        return "\n".join(["250 peer.example", *self._lines])


class _Dialogue:
    """One connection's conversation."""

    def __init__(
        self,
        peer: SmtpPeer,
        session: PeerSession,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.peer, self.session, self.reader, self.writer = peer, session, reader, writer
        self.sender: str | None = None
        self.recipients: list[str] = []
        self.spoken = 0

    async def run(self) -> None:
        await self.say(self.peer.answer("BANNER", "BANNER"))
        while line := await self.reader.readline():
            text = line.decode("utf-8", "surrogateescape").removesuffix("\r\n")
            self.session.commands.append(text)
            verb = text.split(" ")[0].upper()
            path = _PATH.match(text)
            if verb == "AUTH" and self.peer._login is not None:
                await self.authenticate(self.peer._login, *text.split(" ")[1:])
                continue
            answer = self.peer.answer(f"{verb} {path[1]}" if path else verb, verb)
            code = await self.say(answer)
            await self.effect(verb, path[1] if path else "", code)
            if verb == "QUIT" or code == 421:
                return

    async def authenticate(self, login: Login, mechanism: str, initial: str | None = None) -> None:
        dialogue = login(mechanism, initial)
        try:
            await self.say(next(dialogue))
            while line := await self.reader.readline():
                await self.say(dialogue.send(line.decode().removesuffix("\r\n")))
        except StopIteration as end:
            await self.say(end.value)

    async def effect(self, verb: str, address: str, code: int) -> None:
        if verb in ("EHLO", "HELO", "RSET"):
            self.sender, self.recipients = None, []
        elif verb == "MAIL" and code // 100 == 2:
            self.sender = address
        elif verb == "RCPT" and code // 100 == 2:
            self.recipients.append(address)
        elif verb == "DATA" and code == 354:
            await self.data()
        elif verb == "STARTTLS" and code == 220 and self.peer._tls is not None:
            await self.writer.start_tls(self.peer._tls)
            self.session.tls = True

    async def data(self) -> None:
        content = await self.read_data()
        taken = Taken(self.sender or "", self.recipients, content)
        self.peer.received.append(taken)
        code = await self.say(self.peer.answer(".", "."))
        if code // 100 == 2:
            self.peer.messages.append(taken)
        self.sender, self.recipients = None, []
        if code == 421:
            raise _HangUpError

    async def read_data(self) -> bytes:
        """The octets up to the end of the data, dots undone."""
        first = await self.reader.readline()
        data = b"\r\n" + first
        if first != b".\r\n":
            data += await self._rest(first)
        return data[2:-3].replace(b"\r\n..", b"\r\n.").removeprefix(b".")

    async def _rest(self, first: bytes) -> bytes:
        if not first.endswith(b"\r\n"):
            raise _HangUpError
        pieces = b""
        while not (b"\r\n" + pieces).endswith(b"\r\n.\r\n"):
            pieces += await self.reader.readuntil(b".\r\n")
        return pieces

    async def say(self, answer: Answer) -> int:
        """Give an answer; its (first) code, 0 when it has none."""
        if answer is CLOSE:
            raise _HangUpError
        if answer is STALL:
            await asyncio.Event().wait()
        if isinstance(answer, Raw):
            await self.emit(answer.octets)
            if answer.then:
                return await self.say(answer.then)
            return int(answer.octets[:3]) if answer.octets[:3].isdigit() else 0
        assert isinstance(answer, str)
        code, lines = answer[:3], answer[4:].split("\n")
        marks = "-" * (len(lines) - 1) + " "
        wire = "".join(f"{code}{m}{t}\r\n" for m, t in zip(marks, lines, strict=True))
        await self.emit(wire.encode())
        return int(code)

    async def emit(self, octets: bytes) -> None:
        """Send octets, up to the place where the session is cut."""
        cut = self.peer._cut
        self.spoken += len(octets)
        if cut is None or self.spoken <= cut[0]:
            self.writer.write(octets)
            await self.writer.drain()
            return
        keep = len(octets) - (self.spoken - cut[0])
        self.writer.write(octets[:keep] + (cut[1] if isinstance(cut[1], bytes) else b""))
        await self.writer.drain()
        if cut[1] is STALL:
            await asyncio.Event().wait()
        raise _HangUpError

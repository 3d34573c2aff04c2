"""A server out there that takes mail, in moods: good, slow, greylisting, full, dying at the worst moment, or mad.

A mood says how likely which trouble is at which stage. What a peer takes it takes for good, and it notes whether the
other side must have read its reply: only then may nobody bring the message again.
"""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.simulation.chance import spread
from tests.simulation.ledger import Copy, Ledger
from tests.simulation.loop import Life
from tests.simulation.network import Host

HANG_UP, STALL, NONSENSE, SLOW = "hang up", "stall", "nonsense", "slow"
SILENCE = 600.0  # seconds after which a peer gives up a silent client
LINES = ("PIPELINING", "SIZE 20000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")

Troubles = Mapping[str, tuple[tuple[float, str], ...]]
"""By stage (BANNER, EHLO, MAIL, RCPT, DATA, "." and REPLY, after the message is taken): how likely, and what."""

MOODS: Mapping[str, Troubles] = {
    "good": {},
    "slow": dict.fromkeys(("BANNER", "EHLO", "RCPT", "."), ((0.5, SLOW),)),
    "greylisting": {"RCPT": ((1.0, "greylist"),)},
    "full": {"RCPT": ((0.8, "452 4.2.2 mailbox full"),), "MAIL": ((0.2, "452 4.3.1 disk full"),)},
    "busy": {"BANNER": ((0.7, "421 4.7.0 too busy"),), "MAIL": ((0.3, "421 4.7.0 enough"),)},
    "refusing": {
        "BANNER": ((0.1, "554 5.3.2 no service"),),
        "MAIL": ((0.1, "550 5.7.1 not from you"),),
        "RCPT": ((0.4, "550 5.1.1 no such user"), (0.2, "450 4.2.1 later")),
        "DATA": ((0.1, "554 5.7.1 no"),),
        ".": ((0.2, "554 5.7.1 spam"), (0.2, "451 4.3.0 later")),
    },
    "dying": {
        "BANNER": ((0.1, HANG_UP),),
        "RCPT": ((0.1, HANG_UP),),
        "DATA": ((0.1, HANG_UP),),
        ".": ((0.3, HANG_UP),),
        "REPLY": ((0.4, HANG_UP), (0.1, STALL)),
    },
    "stalling": dict.fromkeys(("BANNER", "EHLO", "MAIL", "DATA", "."), ((0.15, STALL),)),
    "mad": dict.fromkeys(("BANNER", "EHLO", "MAIL", "RCPT", "DATA", "."), ((0.2, NONSENSE),)),
}

_GOOD = {
    "BANNER": "220 peer.example ESMTP",
    "HELO": "250 peer.example",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go ahead",
    ".": "250 2.0.0 taken",
    "RSET": "250 2.0.0 reset",
    "NOOP": "250 2.0.0 ok",
    "QUIT": "221 2.0.0 bye",
}


class _HungUpError(Exception):
    """The session is over because the peer wants it so."""


@dataclass(slots=True)
class _Session:
    """One connection: the transaction in it, and what was taken last and not confirmed yet."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sender: str | None = None
    recipients: list[str] = field(default_factory=list)
    unconfirmed: Copy | None = None

    def reset(self) -> None:
        self.sender = None
        self.recipients = []


class Peer:
    """The server on `host`. `mood` may be changed at any time; `tls` is False, there is none here."""

    def __init__(self, host: Host, ledger: Ledger, random: random.Random) -> None:
        self.host, self.ledger = host, ledger
        self.mood = "good"
        self._random = random
        self._greylist: dict[tuple[str, str], float] = {}
        self._life = Life(host.address, host)

    async def start(self) -> None:
        """Listen on port 25."""
        self._life = Life(self.host.address, self.host)
        await self._life.start(
            asyncio.start_server(self._connected, self.host.address, 25, limit=1 << 24)
        )

    async def stop(self) -> None:
        """Die; every connection is reset."""
        await self._life.end()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._life.start(self._serve(reader, writer))

    def _trouble(self, stage: str) -> str:
        """Draw what goes wrong at this stage; "" for nothing."""
        drawn = self._random.random()
        for likely, what in MOODS[self.mood].get(stage, ()):
            if drawn < likely:
                return what
            drawn -= likely
        return ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = _Session(reader, writer)
        try:
            async with asyncio.timeout(None) as patience:
                await self._say(session, "BANNER")
                while True:
                    patience.reschedule(asyncio.get_running_loop().time() + SILENCE)
                    line = await reader.readuntil(b"\n")
                    if not await self._obey(session, line.decode("utf-8", "replace").strip()):
                        break
        except (OSError, EOFError, TimeoutError, ValueError, _HungUpError):
            pass
        finally:
            writer.close()

    async def _obey(self, session: _Session, line: str) -> bool:
        """Do one command; False when it was the last."""
        if session.unconfirmed is not None:
            session.unconfirmed.confirmed, session.unconfirmed = True, None
        verb = line[:4].upper()
        match verb:
            case "EHLO":
                await self._say(session, "EHLO")
            case "MAIL":
                session.reset()
                if await self._say(session, "MAIL"):
                    session.sender = _path(line)
            case "RCPT" if session.sender is None:
                await self._write(session, "503 5.5.1 MAIL first")
            case "RCPT":
                if await self._say(session, "RCPT", _path(line)):
                    session.recipients.append(_path(line))
            case "DATA" if not session.recipients:
                await self._write(session, "554 5.5.1 no valid recipients")
            case "DATA":
                if await self._say(session, "DATA"):
                    await self._take(session)
                session.reset()
            case _:
                if verb == "RSET":
                    session.reset()
                await self._write(session, _GOOD.get(verb, "500 5.5.1 what"))
        return verb != "QUIT"

    async def _take(self, session: _Session) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        octets = await session.reader.readuntil(b"\r\n.\r\n")
        content = octets[:-3].replace(b"\r\n..", b"\r\n.")
        trouble = self._trouble(".")
        if trouble == SLOW:
            await asyncio.sleep(spread(self._random, 1, 120))
        elif trouble:
            await self._do(session, trouble, "")
            return
        copy = Copy(
            self.host.address,
            session.sender or "",
            tuple(session.recipients),
            content,
            loop.time(),
            began=began,
        )
        session.unconfirmed = self.ledger.took(copy)
        await self._do(session, self._trouble("REPLY"), _GOOD["."])

    async def _say(self, session: _Session, stage: str, recipient: str = "") -> bool:
        """Answer; True for a good answer."""
        trouble = self._trouble(stage)
        if trouble == "greylist":
            now = asyncio.get_running_loop().time()
            first = self._greylist.setdefault((session.sender or "", recipient), now)
            trouble = "" if now - first >= 300 else "450 4.7.1 greylisted"
        good = "\r\n".join(
            ["250-peer.example", *(f"250-{line}" for line in LINES[:-1]), f"250 {LINES[-1]}"]
        )
        await self._do(session, trouble, good if stage == "EHLO" else _GOOD[stage])
        return trouble in ("", SLOW)

    async def _do(self, session: _Session, trouble: str, good: str) -> None:
        match trouble:
            case "hang up":
                self.ledger.trace.note(self.host.address, "hangs up")
                if self._random.random() < 0.5:
                    session.writer.transport.abort()
                raise _HungUpError
            case "stall":
                await asyncio.sleep(spread(self._random, 60, 2000))
                raise _HungUpError
            case "nonsense":
                await self._write(session, self._nonsense())
            case "slow":
                await asyncio.sleep(spread(self._random, 1, 120))
                await self._write(session, good)
            case _:
                await self._write(session, trouble or good)
                if trouble.startswith("421"):
                    raise _HungUpError

    def _nonsense(self) -> str:
        return self._random.choice(
            (
                "",
                "Hello!",
                "999 what",
                "2x0 ok",
                "250-never\r\n250-ending",
                "\0" * 600,
                "354 go on",
                "x" * 5000,
            )
        )

    async def _write(self, session: _Session, reply: str) -> None:
        session.writer.write(reply.encode("latin-1") + b"\r\n")
        await session.writer.drain()


def _path(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]

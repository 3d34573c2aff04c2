"""Who sends mail to the server: one host with letters and a temper, that tries again as an MTA does.

A temper is a way to speak SMTP. A client that hangs up or is reset before it has read the reply to its last octet cannot
know what became of the letter, and says so in the ledger; then it sends it again.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.simulation.chance import spread
from tests.simulation.ledger import Ledger, Letter
from tests.simulation.loop import Life
from tests.simulation.network import Host

PATIENCE = 330.0  # seconds a client waits for a reply
GIVES_UP = 86400.0  # seconds after which it stops trying


@dataclass(frozen=True, slots=True)
class Temper:
    """How a client speaks. `hang_up` is how likely it goes away in a session, `pause` seconds between its pieces."""

    pipelining: bool = False
    chunking: bool = False
    hang_up: float = 0.0
    pause: float = 0.0
    half_close: bool = False


TEMPERS: Mapping[str, Temper] = {
    "plain": Temper(),
    "pipelining": Temper(pipelining=True),
    "chunking": Temper(pipelining=True, chunking=True),
    "slow": Temper(pause=20.0),
    "fickle": Temper(hang_up=0.4),
    "fickle and fast": Temper(pipelining=True, hang_up=0.4),
    "short": Temper(pipelining=True, half_close=True),
}


class _LeftError(Exception):
    """The client went away."""


class Talk:
    """A connection to the server, seen from the client."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, leave_after: float
    ) -> None:
        self.reader, self.writer = reader, writer
        self._leave_after = leave_after  # octets that it sends at most, then it hangs up
        self._sent = 0

    async def say(self, octets: bytes, pause: float = 0.0) -> None:
        """Send; in pieces when there is a pause between them. Raises _LeftError when it is time to go."""
        left = int(min(self._leave_after - self._sent, len(octets)))
        size = max(1, len(octets) // 4) if pause else max(1, len(octets))
        for start in range(0, left, size):
            self.writer.write(octets[start : min(start + size, left)])
            await self.writer.drain()
            await asyncio.sleep(pause)
        self._sent += left
        if left < len(octets):
            raise _LeftError

    async def reply(self) -> str:
        """Read the last line of the next reply. Raises EOFError when there is none."""
        async with asyncio.timeout(PATIENCE):
            while True:
                line = (await self.reader.readline()).decode("utf-8", "replace")
                if not line.endswith("\n"):
                    raise EOFError
                if line[3:4] != "-":
                    return line.strip()


class Client:
    """Sends letters to `server`, one session for each try."""

    def __init__(
        self, host: Host, server: str, temper: Temper, ledger: Ledger, random: random.Random
    ) -> None:
        self.host, self._server, self._temper = host, server, temper
        self._ledger, self._random = ledger, random
        self.life = Life(host.address, host)
        self.busy: dict[asyncio.Task[None], None] = {}

    def send(self, letter: Letter) -> None:
        """Begin to send a letter."""
        self._ledger.write(letter)
        task = self.life.start(self._until_done(letter))
        self.busy[task] = None
        task.add_done_callback(self.busy.pop)

    async def _until_done(self, letter: Letter) -> None:
        loop = asyncio.get_running_loop()
        began, wait = loop.time(), spread(self._random, 30, 300)
        waiting: tuple[str, ...] = letter.recipients
        while waiting and loop.time() - began < GIVES_UP:
            waiting = await self._try(letter, waiting)
            if waiting:
                await asyncio.sleep(wait * (0.5 + self._random.random()))
                wait = min(2 * wait, 3600.0)

    async def _try(self, letter: Letter, recipients: tuple[str, ...]) -> tuple[str, ...]:
        """Try once; give who is to be tried again."""
        try:
            async with asyncio.timeout(60):
                reader, writer = await asyncio.open_connection(self._server, 25)
        except OSError:
            return recipients
        leaves = self._random.random() < self._temper.hang_up
        limit = spread(self._random, 1, len(letter.content) + 400) if leaves else float("inf")
        talk = Talk(reader, writer, limit)
        exchange = _Exchange(talk, self._temper, letter, recipients)
        try:
            await exchange.run()
        except (OSError, EOFError, TimeoutError, ValueError, _LeftError) as error:
            self._ledger.trace.note(
                self.host.address, "lost in %d: %s", letter.number, type(error).__name__
            )
        finally:
            self._part(writer)
        return self._conclude(exchange)

    def _part(self, writer: asyncio.StreamWriter) -> None:
        if self._random.random() < 0.3:
            writer.transport.abort()
        else:
            writer.close()

    def _conclude(self, exchange: "_Exchange") -> tuple[str, ...]:
        letter, now = exchange.letter, asyncio.get_running_loop().time()
        taken = [r for r, reply in exchange.said.items() if reply[:1] == "2"]
        refused = {r for r, reply in exchange.said.items() if reply[:1] == "5"}
        if exchange.sender_refused:
            return ()
        if exchange.final[:1] == "2":
            self._ledger.accepted(letter, taken, exchange.final, now)
            refused.update(taken)
        elif exchange.final[:1] == "5":
            refused.update(taken)
        elif exchange.whole and taken and exchange.final[:3] in ("", "451"):
            # no answer; or a commit failed, and what is on the disk of it shows at the next start
            self._ledger.doubted(letter, taken, now)
        return tuple(r for r in exchange.recipients if r not in refused)


class _Exchange:
    """One transaction, and how far it came. `whole` once the last octet of the message may have been sent."""

    def __init__(
        self, talk: Talk, temper: Temper, letter: Letter, recipients: Sequence[str]
    ) -> None:
        self.letter, self.recipients = letter, tuple(recipients)
        self.said: dict[str, str] = {}
        self.sender_refused = False
        self.whole = False
        self.final = ""
        self._talk, self._temper = talk, temper

    async def run(self) -> None:
        """From the banner to QUIT."""
        talk = self._talk
        if (await talk.reply())[:1] != "2":
            return
        await self._ask(b"EHLO client.example\r\n")
        begin: Callable[[], Coroutine[Any, Any, bool]] = (
            self._pipelined if self._temper.pipelining else self._step_by_step
        )
        if not await begin():
            await self._ask(b"QUIT\r\n")
            return
        self.final = await self._message()
        await self._ask(b"QUIT\r\n")

    @property
    def _mail(self) -> bytes:
        words = " REQUIRETLS" if self.letter.requiretls else ""
        return f"MAIL FROM:<{self.letter.sender}>{words}\r\n".encode()

    async def _ask(self, octets: bytes) -> str:
        await self._talk.say(octets)
        return await self._talk.reply()

    async def _step_by_step(self) -> bool:
        if not self._sender(await self._ask(self._mail)):
            return False
        for recipient in self.recipients:
            await asyncio.sleep(self._temper.pause)
            self.said[recipient] = await self._ask(f"RCPT TO:<{recipient}>\r\n".encode())
        if not self._anybody:
            return False
        return self._go_on(await self._ask(b"DATA\r\n"))

    async def _pipelined(self) -> bool:
        lines = [self._mail, *(f"RCPT TO:<{r}>\r\n".encode() for r in self.recipients)]
        if not self._temper.chunking:
            lines.append(b"DATA\r\n")
        await self._talk.say(b"".join(lines))
        good = self._sender(await self._talk.reply())
        for recipient in self.recipients:
            self.said[recipient] = await self._talk.reply()
        if not good:
            self.said.clear()
        if self._temper.chunking:
            return good and self._anybody
        return self._go_on(await self._talk.reply())

    def _sender(self, reply: str) -> bool:
        self.sender_refused = reply[:1] == "5"
        return reply[:1] == "2"

    def _go_on(self, reply: str) -> bool:
        if reply[:1] == "5":
            self.final = reply if self._anybody else ""
        return reply[:3] == "354"

    @property
    def _anybody(self) -> bool:
        return any(reply[:1] == "2" for reply in self.said.values())

    async def _message(self) -> str:
        if self._temper.chunking:
            return await self._chunks()
        stuffed = self.letter.content.replace(b"\r\n.", b"\r\n..")
        await self._talk.say(stuffed + b".\r", self._temper.pause)
        self.whole = True
        await self._talk.say(b"\n")
        if self._temper.half_close:
            self._talk.writer.write_eof()
        return await self._talk.reply()

    async def _chunks(self) -> str:
        content = self.letter.content
        middle = len(content) // 2
        reply = await self._ask(b"BDAT %d\r\n%b" % (middle, content[:middle]))
        if reply[:1] != "2":
            return reply
        rest = content[middle:]
        await self._talk.say(b"BDAT %d LAST\r\n%b" % (len(rest), rest[:-1]))
        self.whole = True
        await self._talk.say(rest[-1:])
        return await self._talk.reply()

"""Load: many small messages over many connections, each with a name of its own, and what was answered to each."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

NAME = b"X-Load:"


@dataclass(slots=True)
class Load:
    """`accepted` are the names of the messages that were answered 250; `refused` what else was answered."""

    port: int
    recipient: str
    accepted: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    _names: "itertools.count[int]" = field(default_factory=itertools.count)
    _progress: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def wait_accepted(self, more: int) -> None:
        """Wait until so many more have been accepted."""
        goal = len(self.accepted) + more
        async with asyncio.timeout(60), self._progress:
            await self._progress.wait_for(lambda: len(self.accepted) >= goal)

    async def send_forever(self) -> None:
        """Send one message per connection, one after the other; a server that is away is tried again."""
        while True:
            name = f"load-{next(self._names)}"
            try:
                answer = await self._send(name)
            except (OSError, EOFError):
                await asyncio.sleep(0.01)
                continue
            if answer.startswith(b"250"):
                self.accepted.add(name)
                async with self._progress:
                    self._progress.notify_all()
            else:
                self.refused.append(answer.decode())

    async def _send(self, name: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            await _reply(reader)
            for line in ("EHLO load.example", "MAIL FROM:<load@sender.example>"):
                await _ask(reader, writer, line)
            await _ask(reader, writer, f"RCPT TO:<{self.recipient}>")
            await _ask(reader, writer, "DATA")
            text = "x" * 72 + "\r\n"
            await _ask(reader, writer, f"{NAME.decode()} {name}\r\n\r\n{text * 50}.", ask=False)
            answer = await _reply(reader)
            writer.write(b"QUIT\r\n")
            return answer
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: str, *, ask: bool = True
) -> None:
    writer.write(line.encode() + b"\r\n")
    if ask:
        answer = await _reply(reader)
        if not answer.startswith((b"2", b"3")):
            raise EOFError(answer.decode())


async def _reply(reader: asyncio.StreamReader) -> bytes:
    while True:
        line = await reader.readline()
        if not line.endswith(b"\n"):
            raise EOFError("hung up")
        if line[3:4] != b"-":
            return line


@asynccontextmanager
async def load(port: int, recipient: str, parallel: int = 20) -> AsyncIterator[Load]:
    """Send messages over `parallel` connections until the block ends."""
    running = Load(port, recipient)
    senders = [asyncio.create_task(running.send_forever()) for _ in range(parallel)]
    try:
        yield running
    finally:
        for sender in senders:
            sender.cancel()
        await asyncio.gather(*senders, return_exceptions=True)


def names(messages: list[bytes]) -> list[str]:
    """The names found in delivered messages."""
    found = []
    for message in messages:
        head = message[: message.index(NAME) + 64]
        found.append(head[head.index(NAME) + len(NAME) :].split()[0].decode())
    return found

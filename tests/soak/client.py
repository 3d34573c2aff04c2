"""An SMTP client in asyncio that can also be slow, rude or absent-minded."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

TIMEOUT = 120.0  # seconds for one answer


class RefusedError(Exception):
    """An answer that is not what was hoped for."""


@dataclass(slots=True)
class Client:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def reply(self) -> str:
        """Read one reply and give its last line."""
        async with asyncio.timeout(TIMEOUT):
            while True:
                line = await self.reader.readline()
                if not line.endswith(b"\n"):
                    raise ConnectionError("hung up")
                if line[3:4] != b"-":
                    return line.decode("utf-8", "replace").strip()

    async def ask(self, line: str, *hoped: str) -> str:
        """Say a command. Raises RefusedError unless the answer begins with one of the codes `hoped` for."""
        self.writer.write(line.encode() + b"\r\n")
        answer = await self.reply()
        if not answer.startswith(hoped or ("2",)):
            raise RefusedError(f"{line[:60]}: {answer}")
        return answer

    async def envelope(self, sender: str, recipients: Sequence[str], options: str = "") -> None:
        """MAIL, RCPT and DATA, all of which must be accepted."""
        await self.ask(f"MAIL FROM:<{sender}>{options}")
        for recipient in recipients:
            await self.ask(f"RCPT TO:<{recipient}>")
        await self.ask("DATA", "354")

    async def content(self, octets: bytes, pause: float = 0.0, pieces: int = 1) -> None:
        """Send a message with its dots doubled, in so many pieces with a pause after each."""
        wire = octets.replace(b"\r\n.", b"\r\n..")
        size = len(wire) // pieces + 1
        for at in range(0, len(wire), size):
            self.writer.write(wire[at : at + size])
            await self.writer.drain()
            await asyncio.sleep(pause)

    async def end(self) -> str:
        """The final dot, and its answer, which must be positive."""
        return await self.ask(".")


@asynccontextmanager
async def connected(host: str, port: int) -> AsyncIterator[Client]:
    """Connect, hear the banner and say EHLO; at the end of the block the connection is cut."""
    reader, writer = await asyncio.open_connection(host, port)
    client = Client(reader, writer)
    try:
        await client.reply()
        await client.ask("EHLO soak.example")
        yield client
        with suppress(OSError):
            writer.write(b"QUIT\r\n")
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

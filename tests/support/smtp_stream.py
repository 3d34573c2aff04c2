"""A client in the test's own event loop: says octets, hears replies. For servers that run in the same loop.

async with connected(port) as client:
    assert await client.reply() == "220 mx.example.org ESMTP notqmail"
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator

ADDRESSED = (
    b"EHLO client.example\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n"
)
"""Everything up to the message, in one segment."""


class StreamClient:
    """A connection. Of a reply of several lines the last one counts; `lines` are all that were heard."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.lines: list[str] = []

    async def reply(self) -> str:
        """Read the next reply; "" when the server has closed."""
        while True:
            try:
                octets = await self._reader.readline()
            except ConnectionError:
                octets = b""
            line = octets.decode("utf-8", "backslashreplace").rstrip("\r\n")
            self.lines.append(line)
            if line[3:4] != "-":
                return line

    async def replies(self) -> list[str]:
        """Read all replies until the server closes."""
        return [reply async for reply in self._until_closed()]

    async def _until_closed(self) -> AsyncIterator[str]:
        while reply := await self.reply():
            yield reply

    async def say(self, octets: bytes) -> str:
        self._writer.write(octets)
        return await self.reply()

    def send(self, octets: bytes) -> None:
        self._writer.write(octets)

    async def greet(self) -> None:
        """Read the banner and say EHLO."""
        assert (await self.reply())[:3] == "220"
        assert (await self.say(b"EHLO client.example\r\n"))[:3] == "250"

    async def address(self) -> None:
        """Go from EHLO to DATA; the message is next."""
        self.send(ADDRESSED)
        replies = [await self.reply() for _ in range(4)]
        assert [reply[:3] for reply in replies] == ["250", "250", "250", "354"]

    def half_close(self) -> None:
        self._writer.write_eof()

    def reset(self) -> None:
        """Be gone, without a word (RST)."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


@contextlib.asynccontextmanager
async def connected(port: int, host: str = "127.0.0.1") -> AsyncIterator[StreamClient]:
    """Connect to a server of this process."""
    client = StreamClient(*await asyncio.open_connection(host, port))
    try:
        yield client
    finally:
        await client.close()

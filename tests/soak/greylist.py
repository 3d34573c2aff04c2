"""A destination that greylists: a sender it has not seen is told to come again, and then taken."""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress

_MAIL = re.compile(rb"MAIL FROM:<(.*?)>", re.IGNORECASE)
_REMEMBERED = 10_000  # senders
_ANSWERS = {
    b"EHLO": b"250-grey.example\r\n250-SIZE 100000000\r\n250 8BITMIME\r\n",
    b"DATA": b"354 go ahead\r\n",
    b"QUIT": b"221 bye\r\n",
}


class Greylist:
    """Listens on `host`:`port`; hands each message that it takes to `taken`."""

    def __init__(self, host: str, port: int, taken: Callable[[bytes], None]) -> None:
        self.host, self.port, self._taken = host, port, taken
        self.delayed = 0
        self._seen: dict[bytes, None] = {}
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Greylist":
        self._server = await asyncio.start_server(
            self._connected, self.host, self.port, limit=1 << 24
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.write(b"220 grey.example ESMTP\r\n")
            await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sender = b""
        while line := await reader.readline():
            verb = line[:4].upper()
            if path := _MAIL.match(line):
                sender = path[1]
            if verb == b"RCPT" and not self._knows(sender):
                writer.write(b"451 4.7.1 come again\r\n")
                continue
            writer.write(_ANSWERS.get(verb, b"250 ok\r\n"))
            if verb == b"DATA":
                content = await reader.readuntil(b"\r\n.\r\n")
                self._taken(content.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n."))
                writer.write(b"250 ok\r\n")
            elif verb == b"QUIT":
                return

    def _knows(self, sender: bytes) -> bool:
        if sender in self._seen:
            return True
        self.delayed += 1
        self._seen[sender] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return False

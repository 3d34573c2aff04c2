"""Where relayed mail ends: a server that takes everything, and keeps of each message whose it was and when it came."""

import asyncio
import re
import time
from contextlib import suppress

from tests.crash.ledger import Copy, Promise
from tests.crash.message import recognised

_RCPT = re.compile(rb"RCPT TO:<(.*?)>", re.IGNORECASE)
_ANSWERS = {
    b"EHLO": b"250-sink.example\r\n250 PIPELINING\r\n",
    b"DATA": b"354 go ahead\r\n",
    b"QUIT": b"221 bye\r\n",
}


class Sink:
    """Listens on 127.0.0.1:`port`; `copies` is what it answered 250."""

    def __init__(self) -> None:
        self.port = 0
        self.copies: list[Copy] = []
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Sink":
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=1 << 24)
        self.port = int(self._server.sockets[0].getsockname()[1])
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
            writer.write(b"220 sink.example ESMTP\r\n")
            await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recipients: list[str] = []
        while line := await reader.readline():
            verb = line[:4].upper()
            if path := _RCPT.match(line):
                recipients.append(path[1].decode())
            writer.write(_ANSWERS.get(verb, b"250 ok\r\n"))
            if verb == b"DATA":
                content = await reader.readuntil(b"\r\n.\r\n")
                self._take(content, recipients)
                recipients = []
                writer.write(b"250 ok\r\n")
            elif verb == b"QUIT":
                return

    def _take(self, content: bytes, recipients: list[str]) -> None:
        id, octets = recognised(content.removesuffix(b".\r\n"))
        self.copies += [Copy(Promise(id, each, octets), time.time()) for each in recipients]

"""A server that takes mail and remembers nothing: who uses it is told of each message, and may put recipients off.

Unlike tests/support/smtp_peer.py it is made for tens of thousands of messages, not for misbehaviour.
"""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress

LARGEST = 1 << 24  # octets of a message
_PATH = re.compile(rb"(?:MAIL FROM|RCPT TO):<(.*?)>", re.IGNORECASE)
_ANSWERS = {
    b"EHLO": b"250-sink.example\r\n250-SIZE 16777216\r\n250-8BITMIME\r\n250 PIPELINING\r\n",
    b"DATA": b"354 go ahead\r\n",
    b"QUIT": b"221 bye\r\n",
}

Taken = Callable[[bytes, list[str]], None]
"""The content as it was on the wire, without its last line (the dot), and the recipients."""


class SmtpSink:
    """Listens on `host`:`port` (0: a free one, known once it is entered). `put_off` says for a sender whether
    recipients are answered 451."""

    def __init__(
        self,
        taken: Taken,
        host: str = "127.0.0.1",
        port: int = 0,
        put_off: Callable[[str], bool] = lambda sender: False,
    ) -> None:
        self.host, self.port = host, port
        self._taken, self._put_off = taken, put_off
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "SmtpSink":
        self._server = await asyncio.start_server(
            self._connected, self.host, self.port, limit=LARGEST
        )
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
        sender, recipients = "", list[str]()
        while line := await reader.readline():
            verb, path = line[:4].upper(), _PATH.match(line)
            if path and verb == b"MAIL":
                sender, recipients = path[1].decode(), []
            elif path and self._put_off(sender):
                writer.write(b"451 4.7.1 come again\r\n")
                continue
            elif path:
                recipients.append(path[1].decode())
            elif verb == b"DATA" and not recipients:
                writer.write(b"554 5.5.1 no valid recipients\r\n")
                continue
            writer.write(_ANSWERS.get(verb, b"250 ok\r\n"))
            if verb == b"DATA":
                content = await reader.readuntil(b"\r\n.\r\n")
                self._taken(content.removesuffix(b".\r\n"), recipients)
                writer.write(b"250 ok\r\n")
            elif verb == b"QUIT":
                return

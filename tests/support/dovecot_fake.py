"""A Dovecot authentication server in the test's own event loop, that can be made to misbehave."""

import asyncio
import base64
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

HANDSHAKE = b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\tff\nDONE\n"

Answer = Callable[[bytes, bytes, bytes], bytes | None]
"""Gets id, name and password; gives the line to send, or None to say nothing."""


class FakeDovecot:
    """Listens on `path`. `names` are those it was asked about, `lines` all it was sent, `connections` how often it was
    called; `answer` decides, and may be replaced."""

    def __init__(self, path: Path, accounts: Mapping[str, str]) -> None:
        self.path = path
        self.greeting = HANDSHAKE
        self.names: list[bytes] = []
        self.lines: list[bytes] = []
        self.connections = 0
        self.asked = asyncio.Event()
        self.cancelled = asyncio.Event()
        self._accounts = {name.encode(): word.encode() for name, word in accounts.items()}
        self.answer: Answer = self.by_accounts
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    def by_accounts(self, id: bytes, name: bytes, password: bytes) -> bytes:
        """What an honest one says."""
        if self._accounts.get(name) == password:
            return b"OK\t%b\tuser=%b\n" % (id, name)
        return b"FAIL\t%b\tuser=%b\n" % (id, name)

    async def __aenter__(self) -> "FakeDovecot":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._connected, self.path)

    async def stop(self) -> None:
        """End it, its connections and its socket file."""
        if self._server is None:
            return
        self._server.close()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()
        self.path.unlink(missing_ok=True)
        self._server = None

    def hang_up(self) -> None:
        """End its connections; it still listens."""
        for task in self._open:
            task.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        self.connections += 1
        with suppress(OSError, asyncio.CancelledError):
            writer.write(self.greeting)
            while line := await reader.readline():
                self._read(line, writer)
        writer.transport.abort()

    def _read(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        self.lines.append(line)
        command, *fields = line.rstrip(b"\n").split(b"\t")
        if command == b"CANCEL":
            self.cancelled.set()
        if command != b"AUTH":
            return
        _, name, password = base64.b64decode(fields[-1].removeprefix(b"resp=")).split(b"\0")
        self.names.append(name)
        self.asked.set()
        if (answer := self.answer(fields[0], name, password)) is not None:
            writer.write(answer)

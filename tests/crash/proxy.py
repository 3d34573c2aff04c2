"""A wire with a witness: passes octets between smtp-source and the server and notes what was answered 250.

smtp-source says one thing at a time and waits for the reply, so a conversation can be followed without a parser of SMTP.
"""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress

Promised = Callable[[str, list[str], int], None]  # queue id, recipients accepted, octets of content

RETRY = 0.02  # seconds between two tries to reach a server that is away
_RCPT = re.compile(rb"RCPT TO:<(.*?)>", re.IGNORECASE)
_QUEUED = re.compile(rb"250 .*queued as (\w+)\r\n")
_END = b"\r\n.\r\n"


class Conversation:
    """One connection as it is overheard: tell it what each side says, in order."""

    def __init__(self, promised: Promised) -> None:
        self._promised = promised
        self._said = b""  # the client's last command, or the end of its content
        self._content = False
        self._octets = 0  # of the content, without the final dot
        self._ended = False  # the final dot is sent, and its answer not come
        self._reply = b""
        self._recipients: list[str] = []

    def client(self, octets: bytes) -> None:
        """What the client says."""
        if self._content:
            self._octets += len(octets)
            self._said = (self._said + octets)[-len(_END) :]
            if self._said == _END:
                self._content, self._ended = False, True
        else:
            self._said += octets
            if self._said[:4].upper() == b"MAIL":
                self._recipients = []

    def server(self, octets: bytes) -> None:
        """What the server says."""
        self._reply += octets
        if not self._reply.endswith(b"\n") or self._reply.split(b"\n")[-2][3:4] == b"-":
            return
        reply, self._reply = self._reply, b""
        said, self._said = self._said, b""
        if self._ended:
            self._ended = False
            if reply.startswith(b"250"):
                self._note(reply)
        elif (path := _RCPT.match(said)) and reply.startswith(b"250"):
            self._recipients.append(path[1].decode())
        elif said[:4].upper() == b"DATA" and reply.startswith(b"354"):
            self._content, self._said, self._octets = True, b"\r\n", 0

    def _note(self, reply: bytes) -> None:
        queued = _QUEUED.match(reply)
        if queued is None:
            raise ValueError(f"a 250 without a queue id: {reply!r}")
        self._promised(queued[1].decode(), self._recipients, self._octets - len(b".\r\n"))
        self._recipients = []


class Proxy:
    """Listens on 127.0.0.1:`port` for the server on `to`. A client that comes while the server is away waits for it."""

    def __init__(self, to: int, promised: Promised) -> None:
        self.port = 0
        self.failure: Exception | None = None  # of the witness itself: then nothing it noted counts
        self._to, self._promised = to, promised
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self.hang_up()
        await self._server.wait_closed()

    async def hang_up(self) -> None:
        """Cut every connection."""
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        with suppress(asyncio.CancelledError):
            try:
                await self._pass_on(reader, writer)
            except OSError:
                pass  # one of the two has gone
            except ValueError as error:
                self.failure = error
            finally:
                writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await self._reach()
        talk = Conversation(self._promised)
        pumps = {
            asyncio.create_task(_pump(reader, to_server, talk.client)),
            asyncio.create_task(_pump(from_server, writer, talk.server)),
        }
        try:
            done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in done:
                pump.result()
        finally:
            to_server.close()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", self._to)
            except OSError:
                await asyncio.sleep(RETRY)


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: Callable[[bytes], None]
) -> None:
    while octets := await reader.read(1 << 16):
        heard(octets)
        writer.write(octets)
        await writer.drain()

"""A client that costs next to nothing: it sends what is prepared, a step for each reply, and reads no reply."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, cast

from tests.bench.cost.mail import CONTENT, MAILBOX, SENDER

HELLO = b"HELO client.example.net\r\n"
QUIT = b"QUIT\r\n"
TRANSACTION = (
    f"MAIL FROM:<{SENDER}>\r\n".encode(),
    f"RCPT TO:<{MAILBOX}>\r\n".encode(),
    b"DATA\r\n",
    CONTENT + b".\r\n",
)


def steps(messages: int) -> Sequence[bytes]:
    """What a session with so many messages sends, step by step; no pipelining (smtp-source does none)."""
    return (HELLO, *TRANSACTION * messages, QUIT)


class Client(asyncio.Protocol):
    """One connection. `ended` is done when the server has closed it, and fails when it did so early."""

    def __init__(self, messages: int) -> None:
        self._steps: Iterator[bytes] = iter(steps(messages))
        self._finished = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio.Transport in all but inheritance
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if data[:1] not in b"23":
            raise AssertionError(f"refused: {data!r}")
        step = next(self._steps, None)
        if step is None:
            self._finished = True
        else:
            self._transport.write(step)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._finished:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(exc or ConnectionError("the server has hung up"))


class Wire(asyncio.Transport):
    """One end of a connection in memory: what is written here is received by `peer` in the next turn of the loop."""

    def __init__(self, peer: asyncio.Protocol) -> None:
        super().__init__({"peername": ("127.0.0.1", 40000), "sockname": ("127.0.0.1", 2525)})
        self._loop = asyncio.get_running_loop()
        self._peer = peer
        self._other: Wire | None = None
        self._closing = False

    def write(self, data: Any) -> None:
        if not self._closing:
            self._loop.call_soon(self._peer.data_received, data)

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._peer.connection_lost, None)
            if self._other is not None:
                self._other.close()

    abort = close

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        """Nothing is ahead: each step waits for its reply."""

    def resume_reading(self) -> None:
        """See pause_reading."""


def connect(client: asyncio.Protocol, server: asyncio.Protocol) -> None:
    """Join two protocols by a wire."""
    here, there = Wire(server), Wire(client)
    here._other, there._other = there, here
    client.connection_made(here)
    server.connection_made(there)

"""What delivery costs: into a Maildir in batches, and to another server over a kept session."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from notqmail.config import Mailbox, Outbound
from notqmail.delivery.maildir import MaildirTransport
from notqmail.delivery.remote import RemoteTransport
from notqmail.mail.hop import Hop
from notqmail.ports import Transport
from notqmail.system.offload import ThreadPool
from tests.bench.cost.mail import HOSTNAME, MAILBOX, entry
from tests.bench.cost.shape import Shape, Work
from tests.bench.cost.world import CallClock
from tests.support.dns import ZoneResolver

AT_ONCE = 20
STRANGER = "bob@example.net"


async def _deliver(transport: Transport, hop: Hop, recipient: str) -> None:
    (outcome,) = await transport.deliver(entry(hop, recipient))
    assert outcome.reply.positive, outcome


@asynccontextmanager
async def _maildir(directory: Path) -> AsyncIterator[Work]:
    pool, hop = ThreadPool(1), Hop("local", MAILBOX)
    transport = MaildirTransport(directory, Mailbox(), HOSTNAME, CallClock(), pool)

    async def work(messages: int) -> None:
        for _ in range(messages // AT_ONCE):
            await asyncio.gather(*(_deliver(transport, hop, MAILBOX) for _ in range(AT_ONCE)))

    yield work
    await transport.close()
    await pool.close()


_ANSWERS = {
    b"EHLO": b"250-peer.example\r\n250-PIPELINING\r\n250-SIZE 10000000\r\n250 8BITMIME\r\n",
    b"MAIL": b"250 2.1.0 ok\r\n",
    b"RCPT": b"250 2.1.5 ok\r\n",
    b"DATA": b"354 go ahead\r\n",
    b"RSET": b"250 2.0.0 reset\r\n",
    b"QUIT": b"221 2.0.0 bye\r\n",
}


class Sink(asyncio.Protocol):
    """A server that takes everything, at the least cost: it looks at the end of what it is sent."""

    _in_data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(b"220 peer.example ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        if self._in_data:
            if data.endswith(b"\r\n.\r\n"):
                self._in_data = False
                self._transport.write(b"250 2.0.0 taken\r\n")
            return
        lines = data.splitlines()
        self._in_data = lines[-1] == b"DATA"
        self._transport.write(b"".join(_ANSWERS[line[:4]] for line in lines))


@asynccontextmanager
async def _relay(directory: Path) -> AsyncIterator[Work]:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    zones = {"example.net": {"MX": "10 mx.example.net"}, "mx.example.net": {"A": "127.0.0.1"}}
    transport = RemoteTransport(
        Outbound(port=port, tls="never", reuse=100_000),
        HOSTNAME,
        ZoneResolver(zones),
        CallClock(),
        random.Random(1),
        lambda name: False,
    )

    async def work(messages: int) -> None:
        for _ in range(messages):
            await _deliver(transport, Hop("smtp", "example.net"), STRANGER)

    yield work
    await transport.close()
    server.close()


MAILDIR = Shape("maildir", f"into one Maildir, {AT_ONCE} at once", 100, _maildir)
RELAY = Shape("relay", "to another server, over a session that is kept", 40, _relay)

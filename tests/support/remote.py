"""Remote delivery in a test: entries, and a transport whose DNS and randomness are the test's.

async with SmtpPeer() as peer, remote(peer) as transport:     # example.net has one MX: the peer
    outcomes = await transport.deliver(entry("bob@example.net"))
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from notqmail.config import Outbound
from notqmail.delivery.remote import RemoteTransport
from notqmail.delivery.tls_memory import TlsMemory
from notqmail.mail.address import Address
from notqmail.mail.entry import Entry
from notqmail.mail.envelope import Envelope, Recipient
from notqmail.mail.hop import Hop
from notqmail.mail.message import Content, Message, Octets
from tests.support.clock import FakeClock
from tests.support.dns import ZoneData, ZoneResolver
from tests.support.smtp_peer import SmtpPeer

LETTER = b"From: alice@example.org\r\nSubject: hello\r\n\r\nGood morning.\r\n"


class Streamed:
    """Content that is not in memory; `pieces` are read anew each time."""

    whole = None

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = list(pieces)
        self.opened = self.closed = 0

    @property
    def size(self) -> int:
        return sum(map(len, self._pieces))

    async def chunks(self) -> AsyncIterator[bytes]:
        self.opened += 1
        try:
            for piece in self._pieces:
                yield piece
        finally:
            self.closed += 1


def entry(
    *recipients: str | Recipient,
    sender: str = "alice@example.org",
    content: bytes | Content = LETTER,
    nexthop: str = "example.net",
    **envelope: Any,
) -> Entry:
    """A claimed message; `envelope` are further fields of Envelope."""
    made = Envelope(
        Address.parse(sender) if sender else None,
        tuple(
            Recipient(Address.parse(each)) if isinstance(each, str) else each for each in recipients
        ),
        **envelope,
    )
    held = Octets(content) if isinstance(content, bytes) else content
    return Entry("Q1", Message(made, held), Hop("smtp", nexthop), 0.0, 1)


@asynccontextmanager
async def remote(
    *peers: SmtpPeer,
    zones: ZoneData | None = None,
    is_us: Callable[[str], bool] = lambda name: False,
    clock: FakeClock | None = None,
    memory: TlsMemory | None = None,
    **outbound: Any,
) -> AsyncIterator[RemoteTransport]:
    """A transport to whom example.net is these peers, the first one preferred; `outbound` are configuration keys."""
    names = [f"mx{n}.example.net" for n in range(1, len(peers) + 1)]
    known: dict[str, Any] = {
        "example.net": {"MX": [f"{n}0 {name}" for n, name in enumerate(names, 1)]},
        **{name: {"A": peer.host} for name, peer in zip(names, peers, strict=True)},
        **(zones or {}),
    }
    defaults: dict[str, Any] = {"tls": "never", **({"port": peers[0].port} if peers else {})}
    transport = await asyncio.to_thread(  # it reads password files
        RemoteTransport,
        Outbound(**{**defaults, **outbound}),
        "mx.example.org",
        ZoneResolver(known),
        clock or FakeClock(),
        random.Random(7),
        is_us,
        memory,
    )
    try:
        yield transport
    finally:
        await transport.close()

"""A server that somebody else wrote: aiosmtpd takes what we send."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope

from notqmail.config import Seconds
from tests.support.remote import entry, remote


class Handler:
    """Keeps what comes."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []

    async def handle_RCPT(
        self, server: SMTP, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Envelope) -> str:
        self.taken.append(envelope)
        return "250 2.0.0 OK"


@asynccontextmanager
async def aiosmtpd(handler: Handler, **options: Any) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(handler, loop=loop, **options), "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.filterwarnings("ignore::DeprecationWarning:aiosmtpd")
async def test_aiosmtpd_takes_messages_over_one_session() -> None:
    handler = Handler()
    async with (
        aiosmtpd(handler, hostname="peer.example") as nexthop,
        remote(idle=Seconds(1)) as transport,
    ):
        for n in range(3):
            content = f"Subject: {n}\r\n\r\n.dot\r\n".encode()
            outcomes = await transport.deliver(
                entry("nobody@example.net", "bob@example.net", content=content, nexthop=nexthop)
            )
            assert [o.reply.code for o in outcomes] == [550, 250]

    assert [e.content for e in handler.taken] == [
        f"Subject: {n}\r\n\r\n.dot\r\n".encode() for n in range(3)
    ]
    assert handler.taken[0].rcpt_tos == ["bob@example.net"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:aiosmtpd")
async def test_aiosmtpd_takes_smtputf8() -> None:
    handler = Handler()
    async with aiosmtpd(handler, enable_SMTPUTF8=True) as nexthop, remote() as transport:
        (outcome,) = await transport.deliver(entry("jörg@bücher.example", nexthop=nexthop))

    assert outcome.reply.code == 250
    assert handler.taken[0].rcpt_tos == ["jörg@xn--bcher-kva.example"]

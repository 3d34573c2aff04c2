"""A socket to one address, from the configured source, in time."""

import socket
from collections.abc import Iterator

import pytest

from notqmail.delivery.dial import dial
from notqmail.delivery.mx import Candidate
from tests.support.clock import virtual_time
from tests.support.remote import entry, remote
from tests.support.smtp_peer import SmtpPeer


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A listening socket whose backlog takes a connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


async def test_source_address_is_as_configured(listening: socket.socket) -> None:
    peer = Candidate("x", "127.0.0.1", listening.getsockname()[1])

    with await dial(peer, "127.0.0.5", 5) as sock:
        assert sock.getsockname()[0] == "127.0.0.5"


async def test_source_address_that_is_not_ours_is_a_delay() -> None:
    async with SmtpPeer() as peer, remote(peer, bind_ipv4="192.0.2.1") as transport:
        (outcome,) = await transport.deliver(entry("bob@example.net"))

    assert str(outcome.action) == "delayed"
    assert (outcome.reply.code, outcome.reply.enhanced) == (451, "4.4.1")
    assert "our address 192.0.2.1: " in outcome.reply.text


@virtual_time
async def test_connecting_ends_after_its_time() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        peer = Candidate("x", "127.0.0.1", full.getsockname()[1])
        waiting = [socket.socket() for _ in range(8)]
        for sock in waiting:  # fill the backlog: the next one gets no answer
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        try:
            with pytest.raises(TimeoutError):
                await dial(peer, "", 30)
        finally:
            for sock in waiting:
                sock.close()

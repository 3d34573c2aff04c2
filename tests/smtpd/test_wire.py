"""The octets of one connection."""

import asyncio
from pathlib import Path

import pytest

from notqmail.mail.errors import RemoteProtocolError
from notqmail.smtpd.wire import Wire
from tests.support.tls_client import OneCertificate, TlsClient


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.written += data


class Handshakes:
    """Counts them."""

    def __init__(self) -> None:
        self.now = 0
        self.results: list[str] = []

    def handshake_began(self) -> None:
        self.now += 1

    def handshake_ended(self, result: str) -> None:
        self.now -= 1
        self.results.append(result)


class Pipe:
    """A wire, and what a client needs of it."""

    def __init__(self, tls: OneCertificate | None) -> None:
        self.transport, self.handshakes = Transport(), Handshakes()
        self.wire = Wire(self.transport, self.handshakes)
        self.heard = b""
        if tls is not None:
            self.wire.begin_tls(tls, "mx")

    @property
    def written(self) -> bytes:
        return self.transport.written

    def send(self, octets: bytes) -> None:
        self.heard += self.wire.receive(octets)


@pytest.fixture
def tls(tmp_path: Path) -> OneCertificate:
    return OneCertificate(tmp_path)


async def test_in_clear_octets_are_what_they_are() -> None:
    pipe = Pipe(None)

    pipe.send(b"EHLO x\r\n")
    pipe.wire.send(b"250 y\r\n")

    assert (pipe.heard, pipe.written) == (b"EHLO x\r\n", b"250 y\r\n")
    assert not pipe.wire.secure
    assert not pipe.wire.behind


async def test_over_tls_they_are_what_was_meant(tls: OneCertificate) -> None:
    pipe = Pipe(tls)
    client = TlsClient(pipe)
    assert pipe.wire.shaking

    client.handshake()
    client.say(b"EHLO x\r\n")
    pipe.wire.send(b"250 y\r\n")

    assert (pipe.heard, client.hear()) == (b"EHLO x\r\n", b"250 y\r\n")
    assert (pipe.handshakes.now, pipe.handshakes.results) == (0, ["TLSv1.3"])


async def test_a_handshake_that_is_lost_has_failed(tls: OneCertificate) -> None:
    pipe = Pipe(tls)

    pipe.wire.lost()
    pipe.wire.lost()

    assert (pipe.handshakes.now, pipe.handshakes.results) == (0, ["failed"])


async def test_what_is_no_tls_is_told_and_answered_with_an_alert(tls: OneCertificate) -> None:
    pipe = Pipe(tls)

    with pytest.raises(RemoteProtocolError, match="TLS handshake: "):
        pipe.send(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")

    assert pipe.written


async def test_much_at_once_is_looked_at_in_turns(tls: OneCertificate) -> None:
    """A loop whose clock goes fast stands for records that take long."""
    pipe = Pipe(tls)
    client = TlsClient(pipe)
    client.handshake()
    loop = asyncio.get_running_loop()
    real, turns = loop.time, 0

    def fast() -> float:
        nonlocal turns
        turns += 1
        return real() + turns

    loop.time = fast  # type: ignore[method-assign]  # of this test's own loop
    try:
        client.say(b"x" * 40_000)
        assert pipe.wire.behind
        while pipe.wire.behind:
            pipe.send(b"")
    finally:
        loop.time = real  # type: ignore[method-assign]

    assert pipe.heard == b"x" * 40_000
    assert turns > 10

"""TLS in a session: STARTTLS, implicit TLS, and what comes of those who do not speak it."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from notqmail.config import Limits, Seconds
from notqmail.smtpd.service import Doors
from notqmail.system.clock import SystemClock
from tests.support.key_updates import KeyUpdater
from tests.support.session import House, Transport, run
from tests.support.tls_client import OneCertificate, TlsClient

EHLO = b"EHLO client.example\r\n"
MESSAGE = (
    b"MAIL FROM:<a@example.net>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n",
    b"Subject: x\r\n\r\nhello\r\n.\r\n",
)
QUICK = Limits(command_timeout=Seconds(300))


@pytest.fixture
def tls(tmp_path: Path) -> OneCertificate:
    return OneCertificate(tmp_path)


def house(tls: OneCertificate, *, implicit: bool = False, **doors: Any) -> House:
    return House(doors=Doors(tls=tls, implicit=implicit, **doors))


def started(wire: Transport) -> TlsClient:
    """A client that has said STARTTLS and done the handshake."""
    wire.send(EHLO + b"STARTTLS\r\n")
    client = TlsClient(wire)
    client.handshake()
    return client


def whys(house: House) -> list[str]:
    return [record["why"] for record in house.journal.records if record["kind"] == "connection"]


# STARTTLS


def test_starttls_is_offered_until_it_is_done(tls: OneCertificate) -> None:
    async def scenario() -> None:
        wire = house(tls).connect()

        wire.send(EHLO)
        before = wire.written
        client = started(wire)
        after = client.say(EHLO)

        assert b"250 STARTTLS\r\n" in before
        assert b"STARTTLS" not in after
        assert after.startswith(b"250-mx.example.org\r\n")

    run(scenario())


def test_a_message_comes_in_over_tls_and_the_session_says_so(tls: OneCertificate) -> None:
    async def scenario() -> None:
        place = house(tls)
        client = started(place.connect())

        client.say(EHLO)
        for part in MESSAGE:
            client.say(part)
            await asyncio.sleep(0.01)
        client.hear()

        assert b"250 2.0.0 queued" in client.said
        [txn] = place.intake.transactions
        assert txn.protocol == "ESMTPS"
        assert str(txn.session.tls).startswith("TLSv1.3 TLS_")
        assert place.counts.handshakes == {"TLSv1.3": 1}

    run(scenario())


def test_nothing_said_in_clear_is_remembered(tls: OneCertificate) -> None:
    async def scenario() -> None:
        wire = house(tls).connect()

        wire.send(EHLO + b"MAIL FROM:<a@example.net>\r\nSTARTTLS\r\n")
        client = TlsClient(wire)
        client.handshake()

        assert client.say(b"RCPT TO:<alice@example.org>\r\n").startswith(b"503 5.5.1 send MAIL")
        assert client.say(b"MAIL FROM:<a@example.net>\r\n").startswith(b"503 5.5.1 say EHLO")

    run(scenario())


def test_commands_in_clear_behind_starttls_are_dropped_and_recorded(tls: OneCertificate) -> None:
    async def scenario() -> None:
        place = house(tls)
        wire = place.connect()

        wire.send(EHLO + b"STARTTLS\r\nMAIL FROM:<evil@example.net>\r\nRCPT TO:<alice@exam")
        client = TlsClient(wire)
        client.handshake()
        client.say(EHLO + b"QUIT\r\n")
        await asyncio.sleep(1)

        assert wire.written.count(b"250 2.1.0") == 0
        assert b"sender ok" not in client.said
        [record] = place.journal.records
        assert record["decisions"][0]["inputs"] == {"octets": 49}

    run(scenario())


def test_a_client_hello_that_came_with_starttls_is_not_taken_for_one(tls: OneCertificate) -> None:
    async def scenario() -> None:
        place = house(tls, handshake_timeout=5.0)
        wire = place.connect()

        wire.send(EHLO + b"STARTTLS\r\n" + TlsClient(wire).begin())
        await asyncio.sleep(6)

        assert wire.closed
        assert whys(place) == ["TLS handshake took too long"]

    run(scenario())


def test_starttls_twice_is_refused(tls: OneCertificate) -> None:
    async def scenario() -> None:
        client = started(house(tls).connect())

        assert client.say(b"STARTTLS\r\n").startswith(b"503 5.5.1")
        assert client.say(EHLO).startswith(b"250")

    run(scenario())


def test_starttls_with_an_argument_changes_nothing(tls: OneCertificate) -> None:
    async def scenario() -> None:
        wire = house(tls).connect()

        wire.send(EHLO + b"STARTTLS now\r\nNOOP\r\n")

        assert wire.replies()[-2:] == ["501 5.5.4", "250 2.0.0"]

    run(scenario())


def test_too_many_handshakes_are_put_off_before_they_begin(tls: OneCertificate) -> None:
    async def scenario() -> None:
        place = house(tls, handshakes=1)
        first, second = place.connect(), place.connect("192.0.2.7")

        first.send(EHLO + b"STARTTLS\r\n")
        second.send(EHLO + b"STARTTLS\r\n")
        TlsClient(first).handshake()
        third = place.connect("192.0.2.8")
        third.send(EHLO + b"STARTTLS\r\n")

        assert second.replies()[-1] == "421 4.7.0"
        assert third.replies()[-1] == "220 2.0.0"

    run(scenario())


# implicit TLS


def test_the_banner_comes_over_tls(tls: OneCertificate) -> None:
    async def scenario() -> None:
        wire = house(tls, implicit=True).connect()

        before = wire.written
        client = TlsClient(wire)
        client.handshake()

        assert before == b""
        assert client.hear() + client.said
        assert client.said.startswith(b"220 mx.example.org")
        assert b"STARTTLS" not in client.say(EHLO)

    run(scenario())


def test_commands_in_the_last_flight_of_the_handshake_are_heard(tls: OneCertificate) -> None:
    async def scenario() -> None:
        wire = house(tls, implicit=True).connect()
        held: list[bytes] = []
        client = TlsClient(wire)
        wire.send, deliver = held.append, wire.send  # type: ignore[method-assign]

        deliver(client.begin())
        client.handshake()
        client.say(EHLO)
        deliver(b"".join(held))

        assert b"250-mx.example.org" in client.hear()

    run(scenario())


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"EHLO client.example\r\n", "TLS handshake: wrong version number"),
        (b"GET / HTTP/1.1\r\n\r\n", "TLS handshake: http request"),
        (b"\0" * 300, "TLS handshake: wrong version number"),
        (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", "TLS handshake: "),
    ],
)
def test_what_is_no_handshake_ends_the_connection(
    tls: OneCertificate, said: bytes, why: str
) -> None:
    async def scenario() -> None:
        place = house(tls, implicit=True)
        wire = place.connect()

        wire.send(said)
        await asyncio.sleep(1)

        assert wire.closed
        assert b"220" not in wire.written
        [told] = whys(place)
        assert told.startswith(why)
        assert place.counts.handshakes == {"failed": 1}
        assert (len(place.registry), place.registry.handshakes) == (0, 0)

    run(scenario())


@pytest.mark.parametrize("trickle", [False, True])
def test_a_handshake_has_its_time_however_busy_it_looks(tls: OneCertificate, trickle: bool) -> None:
    async def scenario() -> None:
        place = house(tls, implicit=True, handshake_timeout=10.0)
        wire = place.connect()
        hello = TlsClient(wire).begin()

        for second in range(9):
            await asyncio.sleep(1)
            if trickle:
                wire.send(hello[second : second + 1])
        assert not wire.closed
        await asyncio.sleep(2)

        assert wire.closed
        assert whys(place) == ["TLS handshake took too long"]
        assert place.registry.handshakes == 0

    run(scenario())


def test_too_many_handshakes_end_without_a_word(tls: OneCertificate) -> None:
    async def scenario() -> None:
        place = house(tls, implicit=True, handshakes=1)
        place.connect()

        second = place.connect("192.0.2.7")
        await asyncio.sleep(1)

        assert second.closed
        assert second.written == b""
        assert whys(place) == ["421 4.7.0 too many TLS handshakes at once; try again later"]

    run(scenario())


def test_a_client_that_leaves_in_the_handshake_is_counted_out(tls: OneCertificate) -> None:
    async def scenario() -> None:
        place = house(tls, implicit=True)
        wire = place.connect()

        wire.protocol.eof_received()
        wire.abort()
        await asyncio.sleep(1)

        assert (len(place.registry), place.registry.handshakes) == (0, 0)
        assert whys(place) == ["the client hung up"]

    run(scenario())


def test_an_old_version_is_refused_with_an_alert(tls: OneCertificate) -> None:
    async def scenario() -> None:
        place = house(tls, implicit=True)
        tls._context.minimum_version = ssl.TLSVersion.TLSv1_3
        wire = place.connect()
        client = TlsClient(wire, newest=ssl.TLSVersion.TLSv1_2)

        with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
            client.handshake()

        assert wire.closed

    run(scenario())


# the end


def test_close_notify_is_an_end_after_what_was_said_before(tls: OneCertificate) -> None:
    async def scenario() -> None:
        wire = house(tls).connect()
        client = started(wire)

        client.say(EHLO)
        client.close()
        await asyncio.sleep(0.1)

        assert wire.closed
        assert client.hear() == b""
        assert client.over

    run(scenario())


def test_quit_ends_with_close_notify(tls: OneCertificate) -> None:
    async def scenario() -> None:
        wire = house(tls).connect()
        client = started(wire)

        said = client.say(EHLO + b"QUIT\r\n")

        assert said.endswith(b"221 2.0.0 bye\r\n")
        assert client.over
        assert wire.closed

    run(scenario())


def test_garbage_inside_tls_ends_the_connection(tls: OneCertificate) -> None:
    async def scenario() -> None:
        place = house(tls)
        wire = place.connect()
        client = started(wire)
        client.say(EHLO)

        wire.send(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        await asyncio.sleep(1)

        assert wire.closed
        assert whys(place)[0].startswith("TLS: ")
        assert place.counts.handshakes == {"TLSv1.3": 1}

    run(scenario())


def test_who_is_in_a_handshake_is_cut_when_the_service_stops(tls: OneCertificate) -> None:
    async def scenario() -> None:
        place = house(tls, implicit=True)
        wire = place.connect()

        await place.registry.drain(1.0)

        assert wire.aborted

    run(scenario())


# what an attacker would try


class Slow(SystemClock):
    """A clock by which every command takes as long as a turn."""

    def __init__(self) -> None:
        self._at = 0.0

    def monotonic(self) -> float:  # type: ignore[override]
        self._at += 1.0
        return self._at


def test_starttls_that_ends_a_turn_is_followed_by_a_handshake_and_nothing_else(
    tls: OneCertificate,
) -> None:
    """The octets come in a segment of their own, between our 220 and the next turn of the loop."""

    async def scenario() -> None:
        place = House(doors=Doors(tls=tls), clock=Slow())
        wire = place.connect()
        wire.send(b"STARTTLS\r\n")
        await asyncio.sleep(0)
        assert b"220 2.0.0 begin TLS now" in wire.written

        wire.send(b"VRFY injected\r\n")
        await asyncio.sleep(1)

        assert wire.closed
        assert b"252" not in wire.written
        assert whys(place)[0].startswith("TLS handshake: ")

    run(scenario())


def test_a_client_hello_at_the_end_of_a_turn_is_not_lost(tls: OneCertificate) -> None:
    async def scenario() -> None:
        wire = House(doors=Doors(tls=tls), clock=Slow()).connect()
        wire.send(b"STARTTLS\r\n")
        client = TlsClient(wire)
        wire.send(client.begin())
        await asyncio.sleep(0)

        client.handshake()

        assert client.say(EHLO) or client.hear() is not None

    run(scenario())


@pytest.mark.parametrize("octets", [b"this is no ClientHello\r\n", b"\x16\x03\x01"])
def test_who_reads_nothing_and_does_not_come_through_the_door_is_cut(
    tls: OneCertificate, octets: bytes
) -> None:
    async def scenario() -> None:
        place = house(tls)
        wire = place.connect()
        wire.send(b"STARTTLS\r\n")
        wire.stuck = 1

        wire.send(octets)
        await asyncio.sleep(100)

        assert wire.aborted
        assert len(place.registry) == 0

    run(scenario())


def test_octets_that_say_nothing_do_not_keep_a_session_alive(tls: OneCertificate) -> None:
    async def scenario() -> None:
        place = House(doors=Doors(tls=tls), limits=Limits(command_timeout=Seconds(10)))
        wire = place.connect()
        wire.send(EHLO + b"STARTTLS\r\n")

        def exchange(octets: bytes) -> bytes:
            before = len(wire.written)
            wire.send(octets)
            return wire.written[before:]

        client = KeyUpdater(exchange)
        for _ in range(12):
            wire.send(client.updates(1))
            await asyncio.sleep(1)

        assert wire.closed

    run(scenario())

"""Clients behind proxies: the PROXY header before everything else, and XCLIENT."""

import asyncio
from pathlib import Path
from struct import pack
from typing import Any

import pytest

from notqmail.auth.sasl import Decoy
from notqmail.config import Ban, Limits
from notqmail.mail.network import Networks
from notqmail.policy.login_guard import LoginGuard
from notqmail.smtpd.login import Logins
from notqmail.smtpd.service import Doors
from notqmail.system.clock import SystemClock
from tests.support.logins import Accounts
from tests.support.session import House, Transport, run
from tests.support.tls_client import OneCertificate, TlsClient

PROXY = "198.51.100.7"
CLIENT = "203.0.113.9"
EHLO = b"EHLO client.example\r\n"
V1 = f"PROXY TCP4 {CLIENT} 192.0.2.2 40000 25\r\n".encode()
V2 = (
    b"\r\n\r\n\0\r\nQUIT\n\x21\x21"
    + pack("!H", 36)
    + bytes.fromhex("20010db8000000000000000000000009")
    + bytes.fromhex("20010db8000000000000000000000001")
    + pack("!HH", 40000, 25)
)
LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0"


def house(**options: Any) -> House:
    return House(doors=Doors(proxy=Networks([PROXY])), **options)


def sent(wire: Transport, sender: bytes = b"a@example.net") -> None:
    wire.send(EHLO + b"MAIL FROM:<" + sender + b">\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n")
    wire.send(b"Subject: x\r\n\r\nx\r\n.\r\n")


def whys(place: House) -> list[str]:
    return [record["why"] for record in place.journal.records]


# PROXY


@pytest.mark.parametrize(("header", "address"), [(V1, CLIENT), (V2, "2001:db8::9"), (LOCAL, PROXY)])
def test_the_client_is_who_the_header_says(header: bytes, address: str) -> None:
    async def scenario() -> None:
        place = house()
        wire = place.connect(PROXY)

        assert wire.written == b""
        wire.send(header)
        assert wire.written.startswith(b"220 ")
        sent(wire)
        await asyncio.sleep(0.1)

        [txn] = place.intake.transactions
        assert txn.session.peer.address == address

    run(scenario())


def test_what_follows_the_header_in_one_piece_is_heard() -> None:
    async def scenario() -> None:
        wire = house().connect(PROXY)

        wire.send(V1 + EHLO)

        assert b"250-mx.example.org" in wire.written

    run(scenario())


def test_a_header_in_pieces_is_one() -> None:
    async def scenario() -> None:
        wire = house().connect(PROXY)

        for octet in V2:
            assert wire.written == b""
            wire.send(bytes([octet]))

        assert wire.replies() == ["220 mx.ex"]

    run(scenario())


def test_a_stranger_is_not_believed() -> None:
    async def scenario() -> None:
        place = house()
        wire = place.connect("192.0.2.66")

        wire.send(V1)
        sent(wire)
        await asyncio.sleep(0.1)

        assert wire.replies()[1].startswith("500")
        assert place.intake.transactions[0].session.peer.address == "192.0.2.66"

    run(scenario())


@pytest.mark.parametrize(
    "said", [EHLO, b"PROXY TCP9 x\r\n", b"\x16\x03\x01", b"PROXY " + b"x" * 200]
)
def test_a_proxy_without_a_header_is_cut_off(said: bytes) -> None:
    async def scenario() -> None:
        place = house()
        wire = place.connect(PROXY)

        wire.send(said)
        await asyncio.sleep(1)

        assert wire.closed
        assert wire.written == b""
        [why] = whys(place)
        assert why.startswith("the proxy was cut off: ")
        assert len(place.registry) == 0

    run(scenario())


def test_a_proxy_that_says_nothing_is_cut_off_in_time() -> None:
    async def scenario() -> None:
        place = House(doors=Doors(proxy=Networks([PROXY]), proxy_timeout=5.0))
        wire = place.connect(PROXY)

        for octet in V1[:4]:
            wire.send(bytes([octet]))
            await asyncio.sleep(1.1)
        await asyncio.sleep(1)

        assert wire.closed
        assert whys(place) == ["PROXY header took too long"]

    run(scenario())


def test_a_proxy_that_leaves_is_counted_out() -> None:
    async def scenario() -> None:
        place = house()
        wire = place.connect(PROXY)

        wire.protocol.eof_received()
        wire.abort()
        await asyncio.sleep(1)

        assert len(place.registry) == 0

    run(scenario())


def test_limits_count_the_clients_and_not_their_proxy() -> None:
    async def scenario() -> None:
        place = house(limits=Limits(connections_per_ipv4=1))
        wires = [place.connect(PROXY) for _ in range(3)]

        for number, wire in enumerate(wires[:2]):
            wire.send(V1.replace(CLIENT.encode(), f"203.0.113.{number}".encode()))
        wires[2].send(V1.replace(CLIENT.encode(), b"203.0.113.0"))

        assert [wire.replies()[0][:3] for wire in wires] == ["220", "220", "421"]
        assert wires[2].closed
        await asyncio.sleep(1)
        assert len(place.registry) == 2

    run(scenario())


def test_the_header_comes_before_tls(tmp_path: Path) -> None:
    async def scenario() -> None:
        doors = Doors(tls=OneCertificate(tmp_path), implicit=True, proxy=Networks([PROXY]))
        place = House(doors=doors)
        wire = place.connect(PROXY)
        client = TlsClient(wire)

        wire.send(V1 + client.begin())
        client.handshake()

        assert (client.hear() + client.said).startswith(b"220 ")

    run(scenario())


def test_who_waits_for_a_header_is_cut_when_the_service_stops() -> None:
    async def scenario() -> None:
        place = house()
        wire = place.connect(PROXY)

        await place.registry.drain(1.0)

        assert wire.aborted

    run(scenario())


# XCLIENT


def xhouse(**options: Any) -> House:
    return House(doors=Doors(xclient=Networks([PROXY])), **options)


def test_xclient_is_offered_and_heard_only_where_it_is_trusted() -> None:
    async def scenario() -> None:
        place = xhouse()
        trusted, stranger = place.connect(PROXY), place.connect("192.0.2.66")

        for wire in (trusted, stranger):
            wire.send(EHLO + f"XCLIENT ADDR={CLIENT}\r\n".encode())

        assert b"XCLIENT NAME ADDR" in trusted.written
        assert b"XCLIENT" not in stranger.written
        assert (trusted.replies()[-1][:3], stranger.replies()[-1][:3]) == ("220", "500")

    run(scenario())


def test_the_session_begins_anew_as_the_client_that_xclient_names() -> None:
    async def scenario() -> None:
        place = xhouse()
        wire = place.connect(PROXY)

        wire.send(EHLO + b"XCLIENT ADDR=IPV6:2001:db8::7 NAME=mail.example.net PORT=4000\r\n")
        wire.send(b"MAIL FROM:<a@example.net>\r\n")
        sent(wire, b"b@example.net")
        await asyncio.sleep(0.1)

        assert b"503 5.5.1 say EHLO first" in wire.written
        [txn] = place.intake.transactions
        peer = txn.session.peer
        assert (peer.address, peer.name, peer.port) == ("2001:db8::7", "mail.example.net", 4000)

    run(scenario())


def test_every_client_is_met_by_the_address_that_was_told() -> None:
    async def scenario() -> None:
        met: list[str] = []
        doors = Doors(proxy=Networks([PROXY]), xclient=Networks(["198.51.100.8"]))
        place = House(doors=doors, met=met.append)

        place.connect(PROXY).send(V1)
        wire = place.connect("198.51.100.8")
        wire.send(EHLO + b"XCLIENT ADDR=203.0.113.77\r\nEHLO x.example\r\n")
        wire.send(b"XCLIENT NAME=mail.example.net\r\n")

        assert met == [CLIENT, "198.51.100.8", "203.0.113.77"]

    run(scenario())


def test_a_login_that_a_proxy_vouches_for_is_one_at_a_door_for_logins() -> None:
    async def scenario() -> None:
        logins = Logins(
            accounts=Accounts({}),
            mechanisms=("PLAIN",),
            attempts=3,
            guard=LoginGuard(Ban(), SystemClock()),
            decoy=Decoy(b"secret"),
            nonce=lambda: "nonce",
            clock=SystemClock(),
        )
        place = xhouse(logins=logins, kind="submission")
        wire = place.connect(PROXY)

        wire.send(EHLO + f"XCLIENT ADDR={CLIENT} LOGIN=alice@example.org\r\n".encode())
        sent(wire)
        await asyncio.sleep(0.1)

        login = place.intake.transactions[0].session.login
        assert login is not None
        assert (login.account, login.mechanism) == ("alice@example.org", "XCLIENT")

    run(scenario())


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"XCLIENT\r\n", "501 5.5.4"),
        (b"XCLIENT LOGIN=alice@example.org\r\n", "501 5.5.4"),
        (b"XCLIENT ADDR=none\r\n", "501 5.5.4"),
        (b"MAIL FROM:<a@example.net>\r\nXCLIENT ADDR=192.0.2.9\r\n", "503 5.5.1"),
    ],
)
def test_xclient_out_of_form_or_place_is_refused(line: bytes, reply: str) -> None:
    async def scenario() -> None:
        wire = xhouse().connect(PROXY)

        wire.send(EHLO + line)

        assert wire.replies()[-1] == reply

    run(scenario())

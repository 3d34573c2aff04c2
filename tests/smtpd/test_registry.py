"""Who is counted together, and as whom a client is known."""

import asyncio
from typing import Any

import pytest

from notqmail.config import Limits
from notqmail.policy.transaction import Peer
from notqmail.smtpd import replies
from notqmail.smtpd.registry import Registry, peer_of
from tests.support.smtpd import Observer


class Sitting:
    """A session that only sits there."""

    def drain(self) -> None: ...
    def abort(self) -> None: ...


def came(registry: Registry, address: str) -> object:
    """Let a client in and count it."""
    session = Sitting()
    return registry.admit(session) or registry.place(session, address)


def admitted(limits: Limits, *addresses: str) -> list[object]:
    async def main() -> list[object]:
        registry = Registry("mx", limits, Observer())
        return [came(registry, address) for address in addresses]

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "::ffff:c000:201", True),
        ("2001:db8::1", "2001:db8::ffff:0:0:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1", "fe80::2%eth0", True),
        ("64:ff9b::192.0.2.1", "64:ff9b::192.0.2.2", False),
    ],
)
def test_a_limit_counts_an_ipv4_address_and_an_ipv6_64(
    one: str, other: str, together: bool
) -> None:
    limits = Limits(connections_per_ipv4=1, connections_per_ipv6=1)

    assert admitted(limits, one, other) == [None, replies.TOO_MANY_FROM_YOU if together else None]


def test_each_family_has_its_own_limit() -> None:
    limits = Limits(connections_per_ipv4=1, connections_per_ipv6=2)

    said = admitted(limits, *["192.0.2.1"] * 2, *["2001:db8::1"] * 3, "::ffff:192.0.2.1")

    assert [reply is None for reply in said] == [True, False, True, True, False, False]


def test_each_listener_counts_for_itself() -> None:
    async def main() -> None:
        limits = Limits(connections_per_ipv6=1)
        for listener in ("mx", "submission"):
            registry = Registry(listener, limits, Observer())
            assert came(registry, "2001:db8::1") is None
            assert came(registry, "2001:db8::2") is replies.TOO_MANY_FROM_YOU

    asyncio.run(main())


@pytest.mark.parametrize(
    ("names", "peer"),
    [
        (
            {"peername": ("192.0.2.1", 40000), "sockname": ("192.0.2.2", 25)},
            Peer("192.0.2.1", 40000, "192.0.2.2", 25),
        ),
        (
            {"peername": ("2001:db8::1", 40000, 0, 0), "sockname": ("2001:db8::2", 25, 0, 0)},
            Peer("2001:db8::1", 40000, "2001:db8::2", 25),
        ),
        (
            {"peername": ("fe80::1%eth0", 1, 0, 2), "sockname": ("fe80::2%eth0", 25, 0, 2)},
            Peer("fe80::1", 1, "fe80::2", 25),
        ),
        (
            {"peername": ("::ffff:192.0.2.1", 1, 0, 0), "sockname": ("::ffff:c000:202", 25, 0, 0)},
            Peer("192.0.2.1", 1, "192.0.2.2", 25),
        ),
        ({}, Peer("", 0, "", 0)),
        ({"peername": None}, Peer("", 0, "", 0)),
    ],
)
def test_a_client_has_one_address_however_it_came(names: dict[str, Any], peer: Peer) -> None:
    assert peer_of(asyncio.BaseTransport(names)) == peer

"""The way out, by recipient domain and by sender."""

from typing import Any

import pytest

from notqmail.config import Outbound, To
from notqmail.mail.address import Address
from notqmail.mail.hop import Hop
from notqmail.queue.destination import Destinations

ALICE = Address.parse("alice@example.org")


def hop(domain: str, *tables: To, sender: Address | None = ALICE, smarthost: str = "") -> str:
    outbound = Outbound(smarthost=smarthost, to=tables)
    return Destinations(outbound).hop(domain, sender).nexthop


def table(**keys: Any) -> To:
    return To(name="t", **keys)


def test_without_tables_mail_goes_by_mx_or_smarthost() -> None:
    assert hop("example.net") == "example.net"
    assert hop("example.net", smarthost="relay.example:25") == "relay.example:25"


@pytest.mark.parametrize(
    ("tables", "nexthop"),
    [
        ((), "example.net"),
        ((table(),), "example.net;t"),
        ((table(domains=("example.com",)),), "example.net"),
    ],
)
def test_hop_is_of_the_transport_to_other_servers(tables: tuple[To, ...], nexthop: str) -> None:
    assert Destinations(Outbound(to=tables)).hop("example.net", None) == Hop("smtp", nexthop)


@pytest.mark.parametrize(
    ("domains", "domain", "matches"),
    [
        (("example.net",), "example.net", True),
        (("example.net",), "a.example.net", False),
        ((".example.net",), "a.example.net", True),
        ((".example.net",), "b.a.example.net", True),
        ((".example.net",), "example.net", False),
        ((".example.net",), "badexample.net", False),
        (("*",), "anything.example", True),
        ((), "anything.example", True),
        (("Bücher.example",), "xn--bcher-kva.example", True),
        ((".BÜCHER.example",), "a.xn--bcher-kva.example", True),
        (("[192.0.2.1]",), "[192.0.2.1]", True),
        (("one.example", "two.example"), "two.example", True),
    ],
)
def test_table_matches_by_domain(domains: tuple[str, ...], domain: str, matches: bool) -> None:
    assert hop(domain, table(domains=domains)) == (f"{domain};t" if matches else domain)


@pytest.mark.parametrize(
    ("senders", "sender", "matches"),
    [
        (("alice@example.org",), "alice@example.org", True),
        (("Alice@Example.ORG",), "ALICE@example.org", True),
        (("alice@example.org",), "bob@example.org", False),
        (("@example.org",), "bob@example.org", True),
        (("@bücher.example",), "bob@xn--bcher-kva.example", True),
        (("@example.org",), "bob@a.example.org", False),
        (("<>",), None, True),
        (("@example.org",), None, False),
        ((), None, True),
    ],
)
def test_table_matches_by_sender(
    senders: tuple[str, ...], sender: str | None, matches: bool
) -> None:
    who = Address.parse(sender) if sender else None

    found = hop("example.net", table(senders=senders), sender=who)

    assert found == ("example.net;t" if matches else "example.net")


def test_table_with_both_matches_by_both() -> None:
    both = table(domains=("example.net",), senders=("bob@example.org",))

    assert hop("example.net", both) == "example.net"
    assert hop("example.com", both, sender=Address.parse("bob@example.org")) == "example.com"
    assert hop("example.net", both, sender=Address.parse("bob@example.org")) == "example.net;t"


def test_first_table_that_matches_counts() -> None:
    tables = (
        To(name="one", domains=("other.example",)),
        To(name="two", domains=(".example",), smarthost="relay.example:587"),
        To(name="three"),
    )

    assert hop("a.example", *tables) == "relay.example:587;two"
    assert hop("example.net", *tables) == "example.net;three"


def test_table_without_a_smarthost_goes_by_mx_whatever_the_default_is() -> None:
    found = hop("example.net", table(domains=("example.net",)), smarthost="relay.example:25")

    assert found == "example.net;t"

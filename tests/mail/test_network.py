"""Addresses in one form, and what a client is counted by."""

from ipaddress import IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.network import Networks, client_network, parse_network, plain_address

ipv4 = st.ip_addresses(v=4)
ipv6 = st.ip_addresses(v=6)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:0201", "192.0.2.1"),
        ("0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::1", "::1"),
        ("", ""),
        ("/run/socket:1", "/run/socket:1"),
    ],
)
def test_an_address_has_one_form(text: str, plain: str) -> None:
    assert plain_address(text) == plain


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::ffff:c000:201", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1:2:3", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"),
        ("", ""),
        ("no:address", "no:address"),
    ],
)
def test_a_client_is_counted_by_its_network(address: str, network: str) -> None:
    assert client_network(address) == network


@given(ipv4)
def test_a_mapped_client_is_the_ipv4_client_in_every_spelling(address: object) -> None:
    mapped = IPv6Address(f"::ffff:{address}")

    for spelling in (str(mapped), mapped.exploded, f"::ffff:{address}"):
        assert plain_address(spelling) == str(address)
        assert client_network(spelling) == client_network(str(address)) == str(address)


@given(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 64) - 1))
def test_who_differs_in_the_host_part_alone_is_one_client(network: int, a: int, b: int) -> None:
    if network in (0, 0x64_FF9B << 96 >> 64):  # mapped, translated: IPv4
        network += 1 << 32

    one, other = (client_network(str(IPv6Address(network << 64 | host))) for host in (a, b))

    assert one == other
    assert ip_address(plain_address(str(IPv6Address(network << 64 | a)))) in parse_network(one)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.1", "192.0.2.1/32"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:192.0.2.1", "192.0.2.1/32"),
        ("::/0", "::/0"),
        ("::/96", "::/96"),
    ],
)
def test_a_network_is_read(text: str, network: str) -> None:
    assert str(parse_network(text)) == network


@pytest.mark.parametrize("text", ["", "192.0.2.1/24", "mx.example.org", "2001:db8::/129", "1.2.3"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"does not appear|has host bits"):
        parse_network(text)


@pytest.mark.parametrize(
    ("address", "listed"),
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("192.0.3.7", False),
        ("2001:db8::7", True),
        ("2001:db8::7%eth0", True),
        ("::1", False),
        ("", False),
        ("unknown", False),
    ],
)
def test_a_list_of_networks_holds_addresses_in_every_form(address: str, listed: bool) -> None:
    assert (address in Networks(["192.0.2.0/24", "2001:db8::/64"])) is listed


def test_an_empty_list_holds_nobody() -> None:
    assert "192.0.2.1" not in Networks(())


@given(st.text(max_size=50))
def test_no_text_breaks_anything(text: str) -> None:
    plain = plain_address(text)

    assert plain_address(plain) == plain
    assert client_network(plain) == client_network(text)
    assert text not in Networks(["192.0.2.0/24"])


@pytest.mark.parametrize(
    ("network", "covered"),
    [
        ("192.0.2.0/25", True),
        ("192.0.2.1", True),
        ("192.0.0.0/16", False),
        ("2001:db8::/65", True),
        ("2001:db8::/32", False),
    ],
)
def test_a_list_covers_what_is_within_one_of_them(network: str, covered: bool) -> None:
    networks = Networks(["2001:db8::/64", "192.0.2.0/24"])

    assert networks.covers(parse_network(network)) is covered

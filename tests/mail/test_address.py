"""Addresses."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.address import Address
from notqmail.mail.errors import AddressError
from tests.support.addresses import addresses, local_parts, quoted


@given(addresses)
def test_reading_what_was_written_gives_the_address(address: Address) -> None:
    assert Address.parse(str(address)) == address


@given(addresses)
def test_the_form_for_people_is_the_same_address(address: Address) -> None:
    assert Address.parse(address.display()) == address


@given(local_parts)
def test_every_local_part_has_a_quoted_form(local: str) -> None:
    assert Address.parse(f"{quoted(local)}@example.org").local == local


@given(st.text(max_size=100))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    try:
        address = Address.parse(text)
    except AddressError:
        return
    assert Address.parse(str(address)) == address


def test_quoting_is_written_only_where_it_is_needed() -> None:
    assert str(Address.parse('"a.b"@example.org')) == "a.b@example.org"
    assert str(Address.parse(r'"a \" \\ b"@example.org')) == r'"a \" \\ b"@example.org'
    assert str(Address.parse('""@example.org')) == '""@example.org'
    assert str(Address.parse('"a..b"@example.org')) == '"a..b"@example.org'


def test_a_quoted_pair_stands_for_its_character() -> None:
    assert Address.parse(r'"\a\@"@example.org') == Address("a@", "example.org")


def test_the_domain_is_in_its_a_label_form_and_the_local_part_as_it_was() -> None:
    assert Address.parse("ÄliceÄ@BÜCHER.example") == Address("ÄliceÄ", "xn--bcher-kva.example")


@pytest.mark.parametrize("local", ["postmaster", "PostMaster", '"postmaster"'])
def test_postmaster_needs_no_domain(local: str) -> None:
    address = Address.parse(local)

    assert address.domain == ""
    assert str(address).lower() == "postmaster"
    assert address.display() == str(address)
    assert address.literal is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alice",
        "@",
        "@example.org",
        "alice@",
        "a b@example.org",
        ".a@example.org",
        "a.@example.org",
        "a..b@example.org",
        "a@b@c",
        '"a@example.org',
        '"a"b@example.org',
        'a"b"@example.org',
        '"a\\"@example.org',
        '"',
        '"\\',
        '"a\r\nb"@example.org',
        '"a\\\r"@example.org',
        "a\0@example.org",
        "a\x80@example.org",
        '"\x9f"@example.org',
        "a\ud800@example.org",
        '"\udcff"@example.org',
        "a@\udcff.example",
        "<a@example.org>",
        "a@example.org ",
        " a@example.org",
        "a@example.org.",
        "a@exam_ple.org",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        Address.parse(text)


@pytest.mark.parametrize(
    "domain",
    [
        "[]",
        "[",
        "[1]",
        "[1.2.3]",
        "[01.2.3.4]",
        "[1.2.3.4",
        "[1.2.3.4]x",
        "[IPv6:]",
        "[IPv6:1.2.3.4]",
        "[IPv6:::1%lo]",
        "[IPv6:1:2]",
        "[2001:db8::1]",
        "[tag:text]",
    ],
)
def test_what_is_no_literal_we_can_route_is_refused(domain: str) -> None:
    with pytest.raises(AddressError, match="literal"):
        Address.parse(f"a@{domain}")


def test_a_literal_gives_its_ip_address_in_one_form() -> None:
    ipv6 = Address.parse("a@[ipv6:2001:DB8:0::1]")

    assert ipv6 == Address("a", "[IPv6:2001:db8::1]")
    assert ipv6.literal == ipaddress.ip_address("2001:db8::1")
    assert Address.parse("a@[192.0.2.1]").literal == ipaddress.ip_address("192.0.2.1")
    for mapped in ("::ffff:192.0.2.1", "::FFFF:c000:201", "0:0:0:0:0:ffff:192.0.2.1"):
        assert Address.parse(f"a@[IPv6:{mapped}]") == Address("a", "[192.0.2.1]")
    assert Address.parse("a@example.org").literal is None


def test_the_local_part_has_at_most_64_octets_as_written() -> None:
    assert Address.parse("a" * 64 + "@b")
    for local in ("a" * 65, "ж" * 33, '"' + "a" * 63 + '"'):
        with pytest.raises(AddressError, match="64 octets"):
            Address.parse(f"{local}@b")


def test_an_address_has_at_most_254_octets() -> None:
    domain = ".".join(["d" * 60] * 4)

    assert Address.parse("a" * (254 - 1 - len(domain)) + "@" + domain)
    with pytest.raises(AddressError, match="254 octets"):
        Address.parse("a" * (255 - 1 - len(domain)) + "@" + domain)


def test_an_address_beyond_ascii_is_one_whose_local_part_is() -> None:
    assert not Address.parse("ж@example.org").ascii
    assert Address.parse("a@bücher.example").ascii


def test_a_local_part_is_compared_without_case() -> None:
    assert Address("ALICE", "").fold == "alice"
    assert Address("STRASSE", "").fold == Address("Straße", "").fold


def test_a_local_part_is_compared_without_regard_to_normalisation() -> None:
    assert Address("Ame\u0301lie", "").fold == Address("AMÉLIE", "").fold


@given(local_parts)
def test_folding_twice_is_folding_once(local: str) -> None:
    folded = Address(local, "").fold

    assert Address(folded, "").fold == folded

"""Addresses and domains: one form for each, read back as it was written."""

from notqmail.mail.address import MAX_PATH, Address
from notqmail.mail.address_list import read_addresses
from notqmail.mail.errors import AddressError
from notqmail.mail.idn import MAX_DOMAIN, canonical_domain, display_domain
from tests.fuzz.given import Given


def assert_address(found: Address) -> None:
    """It can be written, is bounded, and is read back as the same."""
    written = str(found)
    assert len(written.encode()) <= MAX_PATH - 2
    assert not any(c < " " or c == "\x7f" for c in written)
    assert Address.parse(written) == found
    assert found.domain.isascii()
    assert found.domain == Address.parse(written).domain
    shown = found.display()
    assert Address.parse(shown) == found, shown
    assert found.fold == Address(found.fold, found.domain).fold
    if found.domain.startswith("["):
        assert found.literal is not None


def address(data: bytes) -> None:
    """An address has one form, whatever the spelling."""
    try:
        found = Address.parse(Given(data).text())
    except AddressError:
        return
    assert_address(found)


def domain(data: bytes) -> None:
    """The form of a domain is its own form; the one for people leads back to it."""
    try:
        found = canonical_domain(Given(data).text())
    except AddressError:
        return
    assert found.isascii()
    assert found == found.lower()
    assert len(found) <= MAX_DOMAIN
    assert canonical_domain(found) == found
    assert canonical_domain(found.upper()) == found
    assert canonical_domain(display_domain(found)) == found


def address_list(data: bytes) -> None:
    """All that is read is an address; nothing is made up, nothing unprintable is told."""
    given = Given(data)
    default = "example.org" if given.flag() else ""
    value = given.rest()
    found = read_addresses(value, default)
    separators = sum(map(value.count, (b",", b";", b":")))
    assert len(found.addresses) + len(found.unreadable) <= separators + 1
    assert all(text.isprintable() for text in found.unreadable)
    for each in found.addresses:
        assert_address(each)
    again = read_addresses(", ".join(map(str, found.addresses)).encode())
    assert again.addresses == found.addresses
    assert not again.unreadable

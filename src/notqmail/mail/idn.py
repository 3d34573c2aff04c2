"""Domains: U-label and A-label are one domain (RFC 5890 §2.3.2.1), and the A-label is its one form here.

`canonical_domain` is what every comparison, look-up, queue key and wire use; `display_domain` is for people.
"""

import re
from functools import lru_cache

import idna

from notqmail.mail.errors import AddressError

MAX_DOMAIN = 255  # octets, RFC 5321 §4.5.3.1.2 (and RFC 1035 §2.3.4)

# RFC 5321 §4.1.2 Domain = sub-domain *("." sub-domain); an underscore is not in it, nor is a trailing dot.
_LDH = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)


@lru_cache(maxsize=4096)
def canonical_domain(domain: str) -> str:
    """Give the A-label form of a host or mail domain in lower case; raise AddressError outside the grammar.

    Non-ASCII labels pass through UTS #46 mapping (so NFC, case and width variants agree) and IDNA 2008;
    an ASCII label that claims to be an A-label must decode. It may hold what IDNA 2008 does not know (an emoji,
    a script newer than our tables): such names are in DNS, and no U-label is made of them here.
    """
    if domain.isascii():
        if len(domain) > MAX_DOMAIN or _LDH.fullmatch(domain) is None:
            raise AddressError(f"not a domain name: {domain!r}")
        lowered = domain.lower()
        if "xn--" in lowered:
            _check_a_labels(lowered)
        return lowered
    if len(domain) > MAX_DOMAIN:  # before any work that grows with the length
        raise AddressError("the domain name is too long")
    try:
        encoded = idna.encode(domain, uts46=True, std3_rules=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError) as error:
        raise AddressError(f"not an internationalised domain name: {domain!r}") from error
    if len(encoded) > MAX_DOMAIN or _LDH.fullmatch(encoded) is None:
        raise AddressError(f"not a domain name: {domain!r}")
    return encoded


def display_domain(domain: str) -> str:
    """Give the U-label form for a person to read; the A-label where it does not decode."""
    if "xn--" not in domain:
        return domain
    try:
        return idna.decode(domain)
    except (idna.IDNAError, UnicodeError):
        return domain


def _check_a_labels(domain: str) -> None:
    for label in domain.split("."):
        if label.startswith("xn--"):
            try:
                idna.ulabel(label)
            except idna.InvalidCodepoint:
                continue
            except (idna.IDNAError, UnicodeError) as error:
                raise AddressError(f"not a valid A-label: {label!r}") from error

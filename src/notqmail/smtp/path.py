"""Reverse-path and forward-path: what stands between `<` and `>` (RFC 5321 §4.1.2, RFC 6531 §3.3).

No comments, no white space, no encoded words (RFC 2047 is for headers), no missing bracket. A source route is checked
and dropped (RFC 5321 appendix C: MUST be accepted, SHOULD be ignored).
"""

import re
from dataclasses import dataclass

from notqmail.mail.address import MAX_LOCAL, MAX_PATH, Address
from notqmail.mail.errors import AddressError
from notqmail.mail.idn import canonical_domain
from notqmail.smtp.refused import RefusedError

# To the `>` that ends the path: one inside a quoted string does not. Its alternatives begin with different characters, so
# that it finds its end or fails in one pass. (Possessive quantifiers would say so, but nested ones are broken in Python
# 3.11.2, which Debian 12 has.)
_PATH = re.compile(r'<((?:[^"<> ]|"(?:[^"\\]|\\.)*")*)>', re.DOTALL)
# The everyday path, a subset of the grammar: `parse_path` gives the same with and without it.
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_SIMPLE = re.compile(
    rf"<((?={_ATEXT}[^@]{{0,{MAX_LOCAL - 1}}}@){_ATEXT}+(?:\.{_ATEXT}+)*)@([A-Za-z0-9.-]{{1,180}})>"
)


@dataclass(frozen=True, slots=True)
class Path:
    """`address` None is the null path `<>`; `utf8` when it did not stand in ASCII, so SMTPUTF8 is needed
    (also for a U-label domain, whose Address is ASCII); `rest` what follows the `>`."""

    address: Address | None
    utf8: bool
    rest: str


def parse_path(text: str, enhanced: str) -> Path:
    """Read a path at the start of `text`; raise RefusedError with the `enhanced` code of its kind (5.1.3 or 5.1.7)."""
    try:
        if simple := _SIMPLE.match(text):
            address = Address(simple[1], canonical_domain(simple[2]))
            return Path(address, False, text[simple.end() :])
        return _parse_any(text)
    except AddressError as error:
        raise RefusedError(501, enhanced, f"{error}; use <user@domain>") from error


def _parse_any(text: str) -> Path:
    match = _PATH.match(text)
    if match is None:
        raise AddressError("the path is not in brackets")
    raw = match[1]
    utf8 = not raw.isascii()
    if len(match[0].encode() if utf8 else match[0]) > MAX_PATH:
        raise AddressError(f"the path is longer than {MAX_PATH} octets")
    rest = text[match.end() :]
    if not raw:
        return Path(None, False, rest)
    if not raw.startswith("@"):
        return Path(Address.parse(raw), utf8, rest)
    route, _, mailbox = raw.partition(":")
    for hop in route.split(","):
        if not hop.startswith("@"):
            raise AddressError("the source route is not @domain,@domain:")
        canonical_domain(hop[1:])
    address = Address.parse(mailbox)
    if not address.domain:
        raise AddressError("the address has no domain")
    return Path(address, utf8, rest)

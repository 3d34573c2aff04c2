"""An address as a value: local part and domain, without quoting.

Two spellings of one mailbox are equal: quoting is removed on the way in and put back only where the grammar
needs it, the domain is held in its A-label form. The local part is kept exactly, because only the receiving
host may interpret it (RFC 5321 §2.3.11); `fold` is what *we*, as that host, compare.

Octet limits: local part 64, domain 255, path 256 with its brackets (RFC 5321 §4.5.3.1), counted in UTF-8.
"""

import ipaddress
import re
import unicodedata
from dataclasses import dataclass

from notqmail.mail.errors import AddressError
from notqmail.mail.idn import canonical_domain, display_domain

MAX_LOCAL = 64
MAX_PATH = 256

_BEYOND = r"\u0080-\ud7ff\ue000-\U0010ffff"  # UTF8-non-ascii, RFC 6531 §3.3: what has a UTF-8 form
_ATEXT = rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~\-{_BEYOND}]+"  # RFC 5322 §3.2.3
_DOT_STRING = re.compile(rf"{_ATEXT}(?:\.{_ATEXT})*")
# RFC 5321 §4.1.2: qtextSMTP / quoted-pairSMTP
_QUOTED = re.compile(rf'"(?:[ !#-\[\]-~{_BEYOND}]|\\[ -~])*"')
_PAIR = re.compile(r"\\(.)", re.DOTALL)
_NEEDS_PAIR = re.compile(r'(["\\])')
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0080-\u009f]")
_TAGGED_LITERAL = re.compile(r"\[([A-Za-z0-9-]*[A-Za-z0-9]):([!-Z^-~]+)\]")


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox name. `local` is unquoted; `domain` is an A-label in lower case, a literal `[…]`, or ""
    for the domain-less postmaster alone (RFC 5321 §4.1.1.3)."""

    local: str
    domain: str

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `local@domain` (no brackets, no source route); raise AddressError outside RFC 5321/6531."""
        if text.startswith('"'):
            match = _QUOTED.match(text)
            if match is None:
                raise AddressError("the quoted local part does not end")
            raw, rest = match[0], text[match.end() :]
            local = _PAIR.sub(r"\1", raw[1:-1])
        else:
            raw, at, domain = text.partition("@")
            if _DOT_STRING.fullmatch(raw) is None:
                raise AddressError("the local part is not a dot-string")
            local, rest = raw, at + domain
        if _CONTROL.search(local):
            raise AddressError("the local part has a control character")
        if len(raw.encode()) > MAX_LOCAL:
            raise AddressError(f"the local part is longer than {MAX_LOCAL} octets")
        if not rest:
            if local.lower() != "postmaster":
                raise AddressError("the address has no domain")
            return cls(local, "")
        if not rest.startswith("@"):
            raise AddressError("no @ after the local part")
        address = cls(local, _domain(rest[1:]))
        if len(str(address).encode()) + 2 > MAX_PATH:
            raise AddressError(f"the address is longer than {MAX_PATH - 2} octets")
        return address

    @property
    def ascii(self) -> bool:
        """True when the address can travel without SMTPUTF8 (RFC 6531)."""
        return self.local.isascii()

    @property
    def fold(self) -> str:
        """The local part as the receiving host compares it: NFC and case-folded."""
        if self.local.isascii():
            return self.local.lower()
        return unicodedata.normalize("NFC", unicodedata.normalize("NFC", self.local).casefold())

    @property
    def literal(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The IP address of a literal domain `[192.0.2.1]` or `[IPv6:…]`, else None."""
        if not self.domain.startswith("["):
            return None
        inner = self.domain[1:-1]
        return ipaddress.ip_address(inner[5:] if inner[:5].lower() == "ipv6:" else inner)

    def quoted_local(self) -> str:
        """Give the local part as it stands on the wire."""
        if _DOT_STRING.fullmatch(self.local):
            return self.local
        return '"' + _NEEDS_PAIR.sub(r"\\\1", self.local) + '"'

    def display(self) -> str:
        """Give the address with U-labels, for people and for internationalised reports."""
        domain = f"@{display_domain(self.domain)}" if self.domain else ""
        return self.quoted_local() + domain

    def __str__(self) -> str:
        return f"{self.quoted_local()}@{self.domain}" if self.domain else self.quoted_local()


def _domain(text: str) -> str:
    if text.startswith("["):
        return _literal(text)
    return canonical_domain(text)


def _literal(text: str) -> str:
    """RFC 5321 §4.1.3; only the literals we can route: IPv4 and IPv6. A mapped IPv4 address is that one."""
    try:
        if match := _TAGGED_LITERAL.fullmatch(text):
            if match[1].lower() != "ipv6" or "%" in match[2]:
                raise AddressError(f"unknown address literal: {text!r}")
            address = ipaddress.IPv6Address(match[2])
            return f"[{address.ipv4_mapped}]" if address.ipv4_mapped else f"[IPv6:{address}]"
        if text.endswith("]"):
            return f"[{ipaddress.IPv4Address(text[1:-1])}]"
    except ipaddress.AddressValueError as error:
        raise AddressError(f"not an address literal: {text!r}") from error
    raise AddressError(f"not an address literal: {text!r}")

"""XCLIENT: a proxy says who its client is (Postfix's XCLIENT_README).

    XCLIENT NAME=mx.example.net ADDR=192.0.2.1 PORT=40000 LOGIN=alice@example.org

Values are xtext (RFC 3461 §4), of UTF-8 where a login needs it. An IPv6 address is written `IPV6:2001:db8::1`;
`[UNAVAILABLE]` and `[TEMPUNAVAIL]` say that a thing is not known. Who may say it, and when, the session decides.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

from notqmail.mail.network import plain_address
from notqmail.smtp.refused import RefusedError
from notqmail.smtp.xtext import decode_xtext_utf8

ATTRIBUTES: Final = "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"
"""What stands after the keyword XCLIENT in our EHLO reply."""

MAX_TEXT: Final = 255  # characters of a name

_ATTRIBUTE: Final = re.compile(r"([A-Za-z]+)=([!-~]+)")
_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9_])?\.?")  # as in DNS
_UNKNOWN: Final = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})


@dataclass(frozen=True, slots=True)
class Xclient:
    """What was said, addresses in their one form. None: nothing; "" and 0: that it is not known."""

    name: str | None = None
    address: str | None = None
    port: int | None = None
    proto: str | None = None
    helo: str | None = None
    login: str | None = None
    local_address: str | None = None
    local_port: int | None = None


def parse_xclient(argument: str) -> Xclient:
    """Read what follows the verb; raise RefusedError (501)."""
    said: dict[str, Any] = {}
    for word in argument.split(" "):
        match = _ATTRIBUTE.fullmatch(word)
        known = _READ.get(match[1].upper()) if match else None
        if match is None or known is None:
            raise RefusedError(501, "5.5.4", f"use XCLIENT attribute=value with {ATTRIBUTES}")
        field, read = known
        if field in said:
            raise RefusedError(501, "5.5.4", f"{match[1].upper()} stands twice")
        try:
            value = decode_xtext_utf8(match[2])
            said[field] = read("" if value.upper() in _UNKNOWN else value)
        except ValueError:
            raise RefusedError(501, "5.5.4", f"{match[1].upper()} has a wrong value") from None
    return Xclient(**said)


def _name(text: str) -> str:
    if text and _NAME.fullmatch(text) is None:
        raise ValueError
    return text.rstrip(".").lower()


def _address(text: str) -> str:
    if not text:
        return ""
    if text[:5].upper() != "IPV6:":
        return str(IPv4Address(text))
    if "%" in text:
        raise ValueError
    return plain_address(str(IPv6Address(text[5:])))


def _port(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or int(text) > 65535:
        raise ValueError
    return int(text)


def _proto(text: str) -> str:
    if text.upper() not in ("", "SMTP", "ESMTP"):
        raise ValueError
    return text.upper()


def _text(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise ValueError
    return text


_READ: Final[Mapping[str, tuple[str, Callable[[str], str | int]]]] = {
    "NAME": ("name", _name),
    "ADDR": ("address", _address),
    "PORT": ("port", _port),
    "PROTO": ("proto", _proto),
    "HELO": ("helo", _text),
    "LOGIN": ("login", _text),
    "DESTADDR": ("local_address", _address),
    "DESTPORT": ("local_port", _port),
}

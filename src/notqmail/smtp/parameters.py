"""Parameters of MAIL and RCPT: `SP keyword [= value]`, each meaning something only where its extension is offered.

Keywords are case-insensitive, values keep their case (RFC 5321 §4.1.2: esmtp-param). One parameter stands once.
A parameter whose extension is not offered is refused with 555 (RFC 5321 §4.1.1.11), a wrong value with 501.
"""

import re
from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from typing import TypeVar

from notqmail.mail.address import Address
from notqmail.mail.envelope import Body, Notify, Ret
from notqmail.mail.errors import AddressError
from notqmail.smtp.refused import RefusedError
from notqmail.smtp.xtext import decode_orcpt, decode_xtext

MAX_ENVID = 100  # characters, RFC 3461 §4.4
MAX_ORCPT = 500  # characters, RFC 3461 §4.2
MAX_DIGITS = 20  # of SIZE, RFC 1870 §3; and of a chunk size, so that no number is without bound

T = TypeVar("T")
Value = str | None  # None: the keyword stood alone

_PARAMETER = re.compile(
    r" ([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\u00a0-\ud7ff\ue000-\U0010ffff]+))?(?= |\Z)"
)
_NOTIFY = {"SUCCESS": Notify.SUCCESS, "FAILURE": Notify.FAILURE, "DELAY": Notify.DELAY}


def parse_parameters(text: str) -> Mapping[str, Value]:
    """Read what follows a path: keyword in upper case to value; raise RefusedError."""
    found: dict[str, Value] = {}
    at, size = 0, len(text)
    while at < size:
        match = _PARAMETER.match(text, at)
        if match is None:
            raise RefusedError(501, "5.5.4", "parameters are keyword=value, each after one space")
        keyword = match[1].upper()
        if keyword in found:
            raise RefusedError(501, "5.5.4", f"{_shown(keyword)} stands twice")
        found[keyword] = match[2]
        at = match.end()
    return found


def require_offered(
    found: Mapping[str, Value], extensions: Mapping[str, str], offered: frozenset[str]
) -> None:
    """Refuse a parameter that is not in `extensions` (keyword to its extension) or whose extension is not offered."""
    for keyword in found:
        if extensions.get(keyword) not in offered:
            raise RefusedError(555, "5.5.4", f"parameter {_shown(keyword)} is not supported here")


def flag(found: Mapping[str, Value], keyword: str) -> bool:
    """Say whether a parameter without a value stands."""
    if keyword not in found:
        return False
    if found[keyword] is not None:
        raise RefusedError(501, "5.5.4", f"{keyword} takes no value")
    return True


def value(
    found: Mapping[str, Value], keyword: str, read: Callable[[str], T], form: str
) -> T | None:
    """Give a parameter's value as `read` gives it, None when it does not stand. `read` raises ValueError or
    AddressError or KeyError for a wrong one; `form` tells the client what is right."""
    if keyword not in found:
        return None
    try:
        return read(
            found[keyword] or ""
        )  # no value has the empty form: a lone keyword is wrong too
    except (ValueError, KeyError, AddressError) as error:
        raise RefusedError(501, "5.5.4", f"{keyword} is wrong; use {keyword}={form}") from error


def size(text: str) -> int:
    """A number of octets, 1 to 20 digits (RFC 1870 §3). Raises ValueError."""
    if not (text.isascii() and text.isdigit()) or len(text) > MAX_DIGITS:
        raise ValueError(text)
    return int(text)


def body(text: str) -> Body:
    """RFC 6152 §3, RFC 3030 §3. Raises ValueError."""
    return Body(text.upper())


def ret(text: str) -> Ret:
    """RFC 3461 §4.3. Raises ValueError."""
    return Ret(text.upper())


def envid(text: str) -> str:
    """RFC 3461 §4.4, decoded. Raises ValueError."""
    if not 0 < len(text) <= MAX_ENVID:
        raise ValueError(text)
    return decode_xtext(text)


def auth(text: str) -> str:
    """A mailbox or `<>` in xtext (RFC 4954 §5), decoded. Raises ValueError, AddressError."""
    mailbox = decode_xtext(text)
    return mailbox if mailbox == "<>" else str(Address.parse(mailbox))


def notify(text: str) -> Notify:
    """RFC 3461 §4.1. Raises KeyError."""
    words = text.upper()
    return (
        Notify.NEVER
        if words == "NEVER"
        else reduce(or_, map(_NOTIFY.__getitem__, words.split(",")))
    )


def orcpt(text: str) -> str:
    """RFC 3461 §4.2, decoded. Raises ValueError."""
    if len(text) > MAX_ORCPT:
        raise ValueError(text)
    return decode_orcpt(text)


def _shown(keyword: str) -> str:
    return keyword if len(keyword) <= 32 else f"{keyword[:32]}..."

"""Service extensions: the lines of an EHLO reply as values, ours and a peer's (RFC 5321 §4.1.1.1).

A mapping of keyword, in upper case, to its parameters as one string ("" for none).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from notqmail.mail.reply import Reply

Extensions = Mapping[str, str]

NONE: Extensions = MappingProxyType({})

_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_LIMIT = re.compile(r"([A-Za-z0-9-]+)=([0-9]{1,6})")
_SIZE = re.compile(r"[0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """LIMITS of RFC 9422 §4: the most a server takes; None is no limit told."""

    mailmax: int | None = None
    rcptmax: int | None = None
    rcptdomainmax: int | None = None


def ehlo_reply(hostname: str, extensions: Extensions) -> Reply:
    """Make the reply to EHLO: our name, then a line for each extension."""
    lines = (f"{keyword} {params}".rstrip() for keyword, params in extensions.items())
    return Reply(250, "", "\n".join([hostname, *lines]))


def parse_ehlo(reply: Reply) -> Extensions:
    """Read a peer's reply to EHLO; a refusal gives nothing, and so does a line outside the grammar, such as the
    "AUTH=LOGIN" of old. White space is taken as it comes; where a keyword stands twice the first counts."""
    if reply.code != 250:
        return NONE
    found: dict[str, str] = {}
    for line in reply.text.split("\n")[1:]:
        words = line.split()
        if words and _KEYWORD.fullmatch(words[0]):
            found.setdefault(words[0].upper(), " ".join(words[1:]))
    return MappingProxyType(found)


def size_limit(extensions: Extensions) -> int | None:
    """The most octets a peer says it takes; None when it does not say (RFC 1870 §3: "SIZE", "SIZE 0")."""
    params = extensions.get("SIZE", "")
    return (int(params) or None) if _SIZE.fullmatch(params) else None


def session_limits(extensions: Extensions) -> SessionLimits:
    """Read LIMITS; what is unknown or malformed there is ignored (RFC 9422 §3), and so is a limit of 0."""
    found: dict[str, int] = {}
    for item in extensions.get("LIMITS", "").split():
        if match := _LIMIT.fullmatch(item):
            found.setdefault(match[1].upper(), int(match[2]))
    return SessionLimits(
        mailmax=found.get("MAILMAX") or None,
        rcptmax=found.get("RCPTMAX") or None,
        rcptdomainmax=found.get("RCPTDOMAINMAX") or None,
    )

"""The Received field (RFC 5321 §4.4): one line of evidence per server, newest on top.

    Received: from HELO (RDNS [IP]) by HOST (notqmail) with ESMTP id ID
        for <RECIPIENT>; DATE

The peer chooses HELO and, with its own reverse zone, RDNS: both are reduced to the characters of a domain, so
neither can forge a clause, a comment or a line. FOR stands only where there is exactly one recipient: with more it
would show one the other (RFC 5321 §7.2).
"""

import re

from notqmail.mail.address import Address
from notqmail.mail.date import date_time
from notqmail.mail.network import plain_address

WIDTH = 78  # octets of a line without CRLF (RFC 5322 §2.1.1)
MAX_NAME = 255  # characters kept of a name the peer gave

_FOREIGN = re.compile(r"[^A-Za-z0-9.:\[\]_-]")
_TLS_FOREIGN = re.compile(r"[^A-Za-z0-9._-]")


def received_field(
    *,
    helo: str,
    address: str,
    rdns: str,
    hostname: str,
    protocol: str,
    id: str,
    at: float,
    recipient: Address | None = None,
    tls: str = "",
    tls_version: str = "",
) -> bytes:
    """Give the complete field for mail that came over a connection.

    `address` is the peer's as text, "" to keep it to ourselves with its HELO; `rdns` is its verified name or "",
    `protocol` the keyword after WITH (RFC 3848, RFC 6531 §4.3), `recipient` the only one or None, `tls` the cipher
    suite for the clause of RFC 8314 §4.3, `tls_version` the protocol version, which stands as a comment.
    A non-ASCII `recipient` is for protocols that begin with UTF8 (RFC 6531 §3.7.3).
    """
    tokens = [
        *(_from(helo, address, rdns) if address else ("Received:",)),
        "by",
        hostname,
        "(notqmail)",
        f"with {protocol}",
        f"id {id}",
    ]
    if recipient is not None:
        tokens.append(f"for <{recipient}>")
    if tls:
        version = f" ({_TLS_FOREIGN.sub('-', tls_version[:16])})" if tls_version else ""
        tokens.append(f"tls {_TLS_FOREIGN.sub('-', tls[:64])}{version}")
    return _fold(tokens, at)


def _from(helo: str, address: str, rdns: str) -> tuple[str, ...]:
    name, literal = clean_name(rdns), address_literal(address)
    comment = f"({name} {literal})" if name else f"({literal})"
    return "Received: from", clean_name(helo) or "unknown", comment


def injected_field(
    *, hostname: str, user: str, id: str, at: float, recipient: Address | None = None
) -> bytes:
    """Give the complete field for mail that a program on this machine handed over, or we made (`user` "")."""
    comment = f"(notqmail, from user {clean_name(user)})" if user else "(notqmail)"
    tokens = ["Received: by", hostname, comment, f"id {id}"]
    if recipient is not None:
        tokens.append(f"for <{recipient}>")
    return _fold(tokens, at)


def clean_name(name: str) -> str:
    """Keep what a domain or literal may hold; anything else becomes "?"."""
    return _FOREIGN.sub("?", name[:MAX_NAME])


def address_literal(address: str) -> str:
    """Write an IP address as in RFC 5321 §4.1.3; IPv4 that came in through an IPv6 socket as IPv4."""
    plain = plain_address(address)
    return f"[IPv6:{clean_name(plain)}]" if ":" in plain else f"[{clean_name(plain)}]"


def _fold(tokens: list[str], at: float) -> bytes:
    tokens[-1] += ";"
    tokens.append(date_time(at))
    line, lines = tokens[0], []
    for token in tokens[1:]:
        if len(line) + len(token) >= WIDTH:
            lines.append(line)
            line = "\t" + token
        else:
            line += " " + token
    lines.append(line)
    return ("\r\n".join(lines) + "\r\n").encode()

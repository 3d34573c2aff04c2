"""What is wrong with [outbound] and its tables, beyond what types can say."""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterator

from notqmail.config.outbound import Outbound, To, implicit
from notqmail.config.quantity import endpoint
from notqmail.mail.address import Address
from notqmail.mail.errors import AddressError
from notqmail.mail.idn import canonical_domain

Problem = tuple[str, str, str]  # key, problem, remedy


def problems(outbound: Outbound) -> Iterator[Problem]:
    """Yield key, problem and remedy."""
    yield from _way(outbound, "outbound", outbound.tls)
    names = Counter(table.name for table in outbound.to)
    for i, table in enumerate(outbound.to):
        at = f"outbound.to[{i}]"
        if names[table.name] > 1:
            yield f"{at}.name", f"two tables have the name {table.name!r}", "give each its own"
        yield from _each(f"{at}.domains", table.domains, _domains, _DOMAINS)
        yield from _each(f"{at}.senders", table.senders, _senders, _SENDERS)
        yield from _way(table, at, table.tls or outbound.tls)


_HOST = re.compile(r"[\w.:-]+")  # more than DNS allows: a container may be called mail_relay
_DOMAINS = 'write "example.net", ".example.net" or "*"'
_SENDERS = 'write "alice@example.org", "@example.org" or "<>"'
_NAMES = 'write "host", "domain", "mx.example.net" or ".example.net"'


def _way(way: Outbound | To, at: str, floor: str) -> Iterator[Problem]:
    port = 0
    if way.smarthost:
        try:
            port = _smarthost(way.smarthost)
        except (AddressError, ValueError) as error:
            yield f"{at}.smarthost", str(error), 'write "host:port"'
    yield from _each(f"{at}.tls_names", way.tls_names, _names, _NAMES)
    for key, text, kind in (
        ("bind_ipv4", way.bind_ipv4, ipaddress.IPv4Address),
        ("bind_ipv6", way.bind_ipv6, ipaddress.IPv6Address),
    ):
        yield from _each(f"{at}.{key}", (text,) if text else (), kind, "write one of our addresses")
    if way.implicit_tls and not way.smarthost:
        yield f"{at}.implicit_tls", "there is no smarthost", "name one, or leave this out"
    if implicit(way, port) and floor == "never":
        yield f"{at}.tls", "the smarthost speaks nothing but TLS", 'write "verify"'
    yield from _login(way, at, floor)


def _login(way: Outbound | To, at: str, floor: str) -> Iterator[Problem]:
    user, file = way.login.user, way.login.password_file
    if not user and not file:
        return
    if not user:
        yield f"{at}.login.user", "there is a password file and no user", "name the user"
    elif not user.isprintable():
        yield f"{at}.login.user", "it has a control character", "write it anew"
    if not file:
        remedy = "write the password into a file of its own (mode 0600) and name it here"
        yield f"{at}.login.password_file", "there is a user and no password file", remedy
    if not way.smarthost:
        yield f"{at}.login", "there is no smarthost to log in to", f"name {at}.smarthost"
    if floor != "verify":
        remedy = f'set {at}.tls = "verify"'
        yield f"{at}.login", "a password goes only over TLS with a valid certificate", remedy


def _each(
    key: str, texts: tuple[str, ...], read: Callable[[str], object], remedy: str
) -> Iterator[Problem]:
    for text in texts:
        try:
            read(text)
        except (AddressError, ValueError) as error:
            yield key, str(error), remedy


def _smarthost(text: str) -> int:
    host, port = endpoint(text)
    if not port:
        raise ValueError(f"{text!r} has no port")
    if _HOST.fullmatch(host) is None:
        raise ValueError(f"{host!r} is not the name of a host")
    return port


def _domains(text: str) -> None:
    if text.startswith("["):
        Address.parse(f"x@{text}")
    elif text != "*":
        canonical_domain(text.removeprefix("."))


def _senders(text: str) -> None:
    if text.startswith("@"):
        canonical_domain(text[1:])
    elif text != "<>":
        Address.parse(text)


def _names(text: str) -> None:
    canonical_domain(text.removeprefix("."))

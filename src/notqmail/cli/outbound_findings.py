"""What is wrong with the way out: passwords, certificates, source addresses, tables that are never reached."""

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple

from notqmail.config import Config, Outbound, To
from notqmail.delivery.credentials import is_exposed, read_password
from notqmail.delivery.tls import Contexts, trusts_nobody
from notqmail.mail.errors import ConfigError


class Problem(NamedTuple):
    """`fatal`: the server would not start."""

    fatal: bool
    file: str
    key: str
    problem: str
    remedy: str


def examine_outbound(
    settings: Config, is_ours: Callable[[IPv4Address | IPv6Address], bool]
) -> Iterator[Problem]:
    """Yield what is wrong. `is_ours` says whether this machine has an address."""
    outbound, file = settings.outbound, settings.path
    ways: list[tuple[str, Outbound | To]] = [("outbound", outbound)]
    ways += [(f"outbound.to[{i}]", table) for i, table in enumerate(outbound.to)]
    yield from _authorities(settings)
    for at, way in ways:
        if way.login.user:
            yield from _password(Path(way.login.password_file), f"{at}.login.password_file")
        for key in ("bind_ipv4", "bind_ipv6"):
            source = getattr(way, key)
            if source and not is_ours(ip_address(source)):
                problem = f"{source} is no address of this machine: no mail would leave from it"
                yield Problem(False, file, f"{at}.{key}", problem, "name one of `ip address`")
    yield from _unreached(outbound, file)


def _authorities(settings: Config) -> Iterator[Problem]:
    outbound = settings.outbound
    floors = {outbound.tls, *(table.tls for table in outbound.to)}
    if outbound.ca_file:
        try:
            Contexts.made(outbound.ca_file)
        except ConfigError as error:
            yield Problem(True, error.where, "outbound.ca_file", error.problem, error.remedy)
    elif "verify" in floors and trusts_nobody():
        problem = "this system trusts no authority, so no certificate is a valid one"
        remedy = "install ca-certificates, or name a file"
        yield Problem(False, settings.path, "outbound.ca_file", problem, remedy)


def _password(path: Path, key: str) -> Iterator[Problem]:
    try:
        read_password(path)
    except ConfigError as error:
        yield Problem(True, error.where, key, error.problem, error.remedy)
        return
    if is_exposed(path.stat().st_mode):
        yield Problem(False, str(path), key, "everybody can read the password", "chmod 600 it")


def _unreached(outbound: Outbound, file: str) -> Iterator[Problem]:
    before = ""
    for i, table in enumerate(outbound.to):
        if before:
            problem = f"the table {before!r} before it matches everything, so it is never reached"
            yield Problem(False, file, f"outbound.to[{i}]", problem, f"move {before!r} to the end")
        elif not table.senders and (not table.domains or "*" in table.domains):
            before = table.name

"""On which terms mail leaves: [outbound], or the table of [[outbound.to]] that a hop names.

A hop is stored with its message, so a retry finds the table as it is now: its smarthost, its password, its floor. The
smarthost in the hop counts only for what it was; a password meets no server but the one that its table names today.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from notqmail.config import Outbound, SmarthostLogin, To, endpoint
from notqmail.config.outbound import Family, Floor, implicit
from notqmail.delivery.credentials import Secret, read_password
from notqmail.mail.hop import Hop
from notqmail.mail.reply import Reply

_LONG_LANE = 255  # characters; a longer set of names goes by its digest


@dataclass(frozen=True, slots=True)
class Account:
    """How we log in somewhere."""

    user: str
    password: Secret
    mechanisms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """`name` is the table's, "" for [outbound]; `overrides` when what is remembered of a domain's certificates does not
    count. `names` are those that a certificate may be for, as in the configuration."""

    name: str = ""
    smarthost: str = ""
    implicit: bool = False
    floor: Floor = "opportunistic"
    overrides: bool = False
    names: tuple[str, ...] = ("host",)
    prefer: Family = "either"
    sources: tuple[str, str] = ("", "")  # for IPv4, for IPv6
    account: Account | None = field(default=None)

    def source(self, address: str) -> str:
        """The source address for a connection to `address`, "" for the system's choice."""
        return self.sources[":" in address]

    def lane(self, lane: str, domain: str) -> str:
        """Give the lane under these terms: sessions are shared only by what is sent alike."""
        if self.name:
            lane = f"{lane};{self.name}"
        if "domain" in self.names:  # the session is good for this domain alone
            lane = f"{lane};{domain}"
        return lane if len(lane) <= _LONG_LANE else f"smtp:{_digest(lane)}"


class Tables:
    """Terms by name."""

    def __init__(self, default: Terms, named: Mapping[str, Terms]) -> None:
        self._default, self._named = default, named

    @classmethod
    def read(cls, outbound: Outbound) -> Self:
        """Take them from the configuration and the password files. Raises ConfigError."""
        default = Terms(
            smarthost=outbound.smarthost,
            implicit=_implicit(outbound),
            floor=outbound.tls,
            names=outbound.tls_names,
            prefer=outbound.prefer,
            sources=(outbound.bind_ipv4, outbound.bind_ipv6),
            account=_account(outbound.login),
        )
        return cls(default, {table.name: _terms(table, outbound) for table in outbound.to})

    def find(self, hop: Hop) -> tuple[Terms, str] | Reply:
        """Give the terms for a hop and the next hop under them. A hop whose table is gone goes as [outbound] says, if it
        can."""
        terms = self._named.get(hop.table, self._default)
        if terms.smarthost:
            return terms, terms.smarthost
        if hop.table and _is_host(hop.target):  # recipients of many domains: no MX would be right
            problem = f"the table {hop.table!r} of [[outbound.to]] that this goes by"
            gone = "is gone" if hop.table not in self._named else "has no smarthost any more"
            return Reply(451, "4.3.5", f"{problem} {gone}")
        return terms, hop.target

    def knows(self, hop: Hop) -> bool:
        """Say whether the table of a hop, if it names one, is there."""
        return not hop.table or hop.table in self._named


def _terms(table: To, outbound: Outbound) -> Terms:
    return Terms(
        name=table.name,
        smarthost=table.smarthost,
        implicit=_implicit(table),
        floor=table.tls or outbound.tls,
        overrides=bool(table.tls),
        names=table.tls_names or outbound.tls_names,
        prefer=table.prefer or outbound.prefer,
        sources=(
            table.bind_ipv4 or outbound.bind_ipv4,
            table.bind_ipv6 or outbound.bind_ipv6,
        ),
        account=_account(table.login),
    )


def _implicit(way: Outbound | To) -> bool:
    return bool(way.smarthost) and implicit(way, endpoint(way.smarthost).port)


def _account(login: SmarthostLogin) -> Account | None:
    if not login.user:
        return None
    return Account(login.user, read_password(Path(login.password_file)), login.mechanisms)


def _is_host(target: str) -> bool:
    """Say whether a next hop is `host:port`, and not a domain or a literal alone."""
    return ":" in target and not target.endswith("]")


def _digest(lane: str) -> str:
    return hashlib.sha256(lane.encode()).hexdigest()

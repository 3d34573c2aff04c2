"""The hop of mail that leaves: by MX or through a smarthost, by recipient domain and by sender. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from notqmail.config import Outbound, To
from notqmail.mail.address import Address
from notqmail.mail.hop import Hop
from notqmail.mail.idn import canonical_domain

TRANSPORT = "smtp"


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of [[outbound.to]], ready to be asked. Empty sets match all; `below` are the domains with a dot before
    them, which stand in `domains` too and match nothing there."""

    name: str
    smarthost: str
    domains: frozenset[str]
    below: tuple[str, ...]
    senders: frozenset[str]

    def matches(self, domain: str, sender: Sequence[str]) -> bool:
        if self.senders and self.senders.isdisjoint(sender):
            return False
        if not self.domains or "*" in self.domains:
            return True
        return domain in self.domains or domain.endswith(self.below)


class Destinations:
    """Finds the hop for a domain that is not ours. The first table that matches counts."""

    def __init__(self, outbound: Outbound) -> None:
        self._smarthost = outbound.smarthost
        self._tables = tuple(map(_table, outbound.to))

    def hop(self, domain: str, sender: Address | None) -> Hop:
        """`domain` as Address has it; `sender` None is the null reverse-path."""
        if not self._tables:
            return Hop(TRANSPORT, self._smarthost or domain)
        names = _names(sender)
        for table in self._tables:
            if table.matches(domain, names):
                return Hop(TRANSPORT, f"{table.smarthost or domain};{table.name}")
        return Hop(TRANSPORT, self._smarthost or domain)


def _names(sender: Address | None) -> tuple[str, ...]:
    """What a sender is called in a table."""
    if sender is None:
        return ("<>",)
    return (f"{sender.fold}@{sender.domain}", f"@{sender.domain}")


def _table(table: To) -> _Table:
    domains = frozenset(map(_domain, table.domains))
    return _Table(
        table.name,
        table.smarthost,
        domains,
        tuple(domain for domain in domains if domain.startswith(".")),
        frozenset(map(_sender, table.senders)),
    )


def _domain(text: str) -> str:
    if text == "*":
        return text
    if text.startswith("["):
        return Address.parse(f"x@{text}").domain
    dot = text[: text.startswith(".")]
    return dot + canonical_domain(text.removeprefix("."))


def _sender(text: str) -> str:
    if text == "<>":
        return text
    if text.startswith("@"):
        return f"@{canonical_domain(text[1:])}"
    address = Address.parse(text)
    return f"{address.fold}@{address.domain}"

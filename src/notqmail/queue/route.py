"""Where a recipient goes: mailboxes, aliases and subaddresses of our domains, and the way out for all others.

The order is fixed: the exact mailbox, the exact alias, the mailbox and then the alias without the subaddress,
postmaster and abuse, which every local domain has (RFC 5321 §4.5.1, RFC 2142), and last the catch-all. What matches
nothing is unknown. `judge` answers at RCPT, `route` when the message enters the queue, `resolve` on the command line:
one code, so that what was accepted can be delivered.

Aliases are expanded recursively, at most MAX_DEPTH deep and to MAX_TARGETS addresses. An alias that meets itself adds
nothing there; when nothing else is left, it leads nowhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from notqmail.config import Config
from notqmail.mail.address import Address
from notqmail.mail.dsn import typed_address
from notqmail.mail.envelope import Recipient
from notqmail.mail.hop import Hop
from notqmail.mail.idn import canonical_domain
from notqmail.mail.reply import Reply
from notqmail.ports import Directory
from notqmail.queue.destination import Destinations
from notqmail.queue.refused import refused_hop
from notqmail.queue.resolution import Kind, Resolution

MAX_DEPTH = 10  # aliases that lead to aliases
MAX_TARGETS = 1000  # addresses looked at for one recipient

UNKNOWN = Reply(550, "5.1.1", "no such mailbox here")
LOOP = Reply(554, "5.4.6", "the alias leads back to itself and nowhere else")
TOO_DEEP = Reply(554, "5.4.6", f"aliases lead to aliases more than {MAX_DEPTH} deep")
TOO_MANY = Reply(554, "5.4.6", f"the alias has more than {MAX_TARGETS} targets")

_SPECIAL = frozenset({"postmaster", "abuse"})

Key = tuple[str, str]
IsOurs = Callable[[IPv4Address | IPv6Address], bool]


def _nobody(address: IPv4Address | IPv6Address) -> bool:
    return False


@dataclass(slots=True)
class _Walk:
    """One resolution under way: who sends, the way from its root, and how many addresses were looked at."""

    sender: Address | None = None
    path: tuple[Key, ...] = ()
    seen: int = 0


class Router:
    """`is_our_address` says whether an IP address in a literal domain, `[192.0.2.1]`, is one of ours: such a domain
    means our first one."""

    def __init__(
        self, directory: Directory, config: Config, is_our_address: IsOurs = _nobody
    ) -> None:
        self._directory = directory
        self._separator = config.addressing.separator
        self._destinations = Destinations(config.outbound)
        self._first_domain = next(iter(config.domains), canonical_domain(config.hostname))
        configured = config.postmaster_address
        self._postmaster = configured if configured is not None and configured.domain else None
        self._is_our_address = is_our_address

    @property
    def postmaster(self) -> Address:
        """Who hears of what nobody else can be told: the configured postmaster, else our first domain's."""
        return self._postmaster or Address("postmaster", self._first_domain)

    def is_local(self, domain: str) -> bool:
        """Say whether mail for this domain, as `Address.domain` holds it, ends here."""
        return self._directory.is_local(self._home(domain))

    def resolve(self, address: Address, sender: Address | None = None) -> Resolution:
        """Give the whole tree of where mail for `address` goes; `sender` None is the null reverse-path."""
        walk = _Walk(sender)
        resolution = self._resolve(address, walk)
        if walk.seen > MAX_TARGETS:
            return Resolution(address, Kind.TOO_MANY, entry=resolution.entry, reply=TOO_MANY)
        return resolution

    judge = resolve

    def route(
        self, recipient: Recipient, sender: Address | None
    ) -> Sequence[tuple[Recipient, Hop]]:
        """Give the recipients this one expands to, each with its hop; never nothing: what leads nowhere has a hop
        that refuses it (`queue.refused`), so that the sender is told."""
        resolution = self.resolve(recipient.address, sender)
        if resolution.hop is not None:
            return ((recipient, resolution.hop),)
        return tuple(
            (_expanded(recipient, leaf.address), leaf.hop or refused_hop(leaf.reply or UNKNOWN))
            for leaf in _worth_routing(resolution)
        )

    def _home(self, domain: str) -> str:
        """Give the local domain that a domain means: itself, but for our literals and for none at all."""
        if not domain:
            return self.postmaster.domain
        if domain.startswith("["):
            ip = Address("x", domain).literal
            return self._first_domain if ip is not None and self._is_our_address(ip) else domain
        return domain

    def _resolve(self, address: Address, walk: _Walk) -> Resolution:
        walk.seen += 1
        domain = self._home(address.domain)
        if not self._directory.is_local(domain):
            if address.domain:
                hop = self._destinations.hop(domain, walk.sender)
                return Resolution(address, Kind.REMOTE, hop)
            if self._postmaster is not None:
                return self._expand(address, Kind.POSTMASTER, (self._postmaster,), "", walk)
        local = address.fold
        exact = self._entry(address, local, domain, (Kind.MAILBOX, Kind.ALIAS), walk)
        return (
            exact
            or self._subaddress(address, local, domain, walk)
            or self._special(address, local, domain, walk)
            or self._catch_all(address, domain, walk)
            or Resolution(address, Kind.UNKNOWN, reply=UNKNOWN)
        )

    def _entry(
        self, address: Address, local: str, domain: str, kinds: tuple[Kind, Kind], walk: _Walk
    ) -> Resolution | None:
        mailbox, alias = kinds
        if self._directory.mailbox(local, domain):
            entry = str(Address(local, domain))
            return Resolution(address, mailbox, Hop("local", entry), entry=entry)
        if targets := self._directory.alias(local, domain):
            return self._expand(address, alias, targets, str(Address(local, domain)), walk)
        return None

    def _subaddress(
        self, address: Address, local: str, domain: str, walk: _Walk
    ) -> Resolution | None:
        base, separator, _ = local.partition(self._separator or "\n")
        if not separator or not base:
            return None
        return self._entry(address, base, domain, (Kind.SUBADDRESS, Kind.SUBADDRESS), walk)

    def _special(self, address: Address, local: str, domain: str, walk: _Walk) -> Resolution | None:
        if local not in _SPECIAL:
            return None
        if self._postmaster is not None:
            found = self._expand(address, Kind.POSTMASTER, (self._postmaster,), "postmaster", walk)
            if found.accepts:
                return found
        # nothing said where it goes, and nothing may be lost: a mailbox nobody had to make
        mailbox = str(Address("postmaster", domain))
        return Resolution(address, Kind.POSTMASTER, Hop("local", mailbox))

    def _catch_all(self, address: Address, domain: str, walk: _Walk) -> Resolution | None:
        targets = self._directory.alias("", domain)
        if not targets:
            return None
        return self._expand(address, Kind.CATCH_ALL, targets, f"@{domain}", walk)

    def _expand(
        self, address: Address, kind: Kind, targets: Sequence[Address], entry: str, walk: _Walk
    ) -> Resolution:
        key = (address.fold, self._home(address.domain))
        if key in walk.path:
            return Resolution(address, Kind.LOOP, entry=entry, reply=LOOP)
        if len(walk.path) == MAX_DEPTH:
            return Resolution(address, Kind.TOO_DEEP, entry=entry, reply=TOO_DEEP)
        walk.path += (key,)
        children = []
        for target in targets:
            if walk.seen > MAX_TARGETS:
                break
            children.append(self._resolve(target, walk))
        walk.path = walk.path[:-1]
        reply = None if any(child.accepts for child in children) else _why(children)
        return Resolution(address, kind, None, tuple(children), entry, reply)


def _why(children: Sequence[Resolution]) -> Reply:
    """Give the reason why an alias leads nowhere: the first that is not the loop, if any."""
    replies = [child.reply for child in children if child.reply is not None]
    return next((reply for reply in replies if reply is not LOOP), LOOP)


def _worth_routing(resolution: Resolution) -> Sequence[Resolution]:
    """The leaves without repetitions, and without loops where something else is left."""
    leaves: dict[object, Resolution] = {}
    for leaf in resolution.leaves():
        address = leaf.address
        # remote local parts are not ours to fold
        local = address.local if leaf.kind is Kind.REMOTE else address.fold
        leaves.setdefault((local, address.domain, leaf.hop), leaf)
    found = tuple(leaves.values())
    return tuple(leaf for leaf in found if leaf.reply is not LOOP) or found


def _expanded(recipient: Recipient, address: Address) -> Recipient:
    """The recipient under another address, keeping what the sender asked for (RFC 3461 §5.2.7)."""
    if address == recipient.address:
        return recipient
    orcpt = recipient.orcpt or typed_address(recipient.address, utf8=True)
    return Recipient(address, recipient.notify, orcpt)

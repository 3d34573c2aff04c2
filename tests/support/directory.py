"""An in-memory Directory: domains, mailboxes and aliases written as a postmaster would."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from notqmail.mail.address import Address
from notqmail.mail.idn import canonical_domain

Key = tuple[str, str]


class MemoryDirectory:
    """ports.Directory from values; its attributes may be changed while it is in use.

    MemoryDirectory(["example.org"], ["alice@example.org"], {"sales@example.org": ["alice@example.org"]});
    a catch-all is written "@example.org". `lists` are the senders of accounts, as in the senders file.
    """

    def __init__(
        self,
        domains: Iterable[str] = ("example.org",),
        mailboxes: Iterable[str] = (),
        aliases: Mapping[str, Sequence[str]] | None = None,
        lists: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.domains = {canonical_domain(domain) for domain in domains}
        self.mailboxes = {_key(mailbox) for mailbox in mailboxes}
        self.aliases = {
            _key(name): tuple(Address.parse(target) for target in targets)
            for name, targets in (aliases or {}).items()
        }
        self.lists = {
            name: frozenset(map(_key, addresses)) for name, addresses in (lists or {}).items()
        }

    def is_local(self, domain: str) -> bool:
        return domain in self.domains

    def mailbox(self, local: str, domain: str) -> bool:
        return (local, domain) in self.mailboxes

    def alias(self, local: str, domain: str) -> Sequence[Address]:
        return self.aliases.get((local, domain), ())

    def senders(self, account: str) -> Collection[Key]:
        return self.lists.get(account, ())


def _key(text: str) -> Key:
    if text.startswith("@"):
        return "", canonical_domain(text[1:])
    address = Address.parse(text)
    return address.fold, address.domain

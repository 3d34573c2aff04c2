"""Where an address leads, as a tree: what `resolve` prints, what judges a recipient and what routes it."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from notqmail.mail.address import Address
from notqmail.mail.hop import Hop
from notqmail.mail.reply import Reply


class Kind(StrEnum):
    """The rule that decided, in the order they are tried; the last four are the ways to fail."""

    MAILBOX = "mailbox"
    ALIAS = "alias"
    SUBADDRESS = "subaddress"
    POSTMASTER = "postmaster"
    CATCH_ALL = "catch-all"
    REMOTE = "remote"
    UNKNOWN = "unknown"
    LOOP = "loop"
    TOO_DEEP = "too deep"
    TOO_MANY = "too many"


@dataclass(frozen=True, slots=True)
class Resolution:
    """One address and what it means here. It has a `hop` when it ends here, `children` when it is expanded, a
    `reply` when it leads nowhere; `entry` names the line that matched ("sales@example.org", "@example.org")."""

    address: Address
    kind: Kind
    hop: Hop | None = None
    children: tuple["Resolution", ...] = ()
    entry: str = ""
    reply: Reply | None = None

    @property
    def accepts(self) -> bool:
        """True when mail for it ends up somewhere."""
        return self.hop is not None or (
            self.reply is None and any(c.accepts for c in self.children)
        )

    def leaves(self) -> Iterator["Resolution"]:
        """Yield where it ends, left to right. What leads nowhere is a leaf as a whole."""
        if self.reply is not None or not self.children:
            yield self
        else:
            for child in self.children:
                yield from child.leaves()

    def plain(self) -> dict[str, Any]:
        """Give the tree as what JSON has."""
        record: dict[str, Any] = {
            "address": str(self.address),
            "kind": self.kind.value,
            "accepts": self.accepts,
        }
        if self.entry:
            record["entry"] = self.entry
        if self.hop is not None:
            record["hop"] = self.hop.destination
        if self.reply is not None:
            record["reply"] = str(self.reply)
        if self.children:
            record["children"] = [child.plain() for child in self.children]
        return record

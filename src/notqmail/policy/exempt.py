"""Who is spared what is held against a client until RCPT."""

from collections.abc import Callable
from dataclasses import dataclass

from notqmail.mail.envelope import Recipient
from notqmail.policy.transaction import Transaction

ALWAYS_REACHABLE = frozenset({"postmaster", "abuse"})  # RFC 5321 §4.5.1, RFC 2142 §4


@dataclass(frozen=True, slots=True)
class Exemptions:
    """Postmaster and abuse of our domains hear from everybody; and whom we know we do not suspect."""

    is_local: Callable[[str], bool]

    def __call__(self, txn: Transaction, recipient: Recipient) -> bool:
        if txn.session.trusted:
            return True
        address = recipient.address
        if address.fold not in ALWAYS_REACHABLE:
            return False
        return not address.domain or self.is_local(address.domain)

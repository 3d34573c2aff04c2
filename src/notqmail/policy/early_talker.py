"""Clients that talk before the greeting: they do not speak SMTP (RFC 5321 §3.1), they pour it out."""

from dataclasses import dataclass
from typing import Final

from notqmail.mail.reply import Reply
from notqmail.policy.transaction import Transaction
from notqmail.policy.verdict import ACCEPT, Reject, Verdict

TOO_EARLY: Final = Reject(Reply(554, "5.5.0", "you did not wait for the greeting"), "early talker")


@dataclass(frozen=True, slots=True)
class EarlyTalker:
    """Asked at MAIL: by then it is certain, however the listener finds out."""

    def on_mail(self, txn: Transaction) -> Verdict:
        return TOO_EARLY if txn.session.early else ACCEPT

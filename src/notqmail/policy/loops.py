"""Mail loops: a message that has passed too many servers (RFC 5321 §6.3), or has been here before."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from notqmail.mail.address import Address
from notqmail.mail.envelope import Recipient
from notqmail.mail.errors import AddressError
from notqmail.mail.message import Message
from notqmail.mail.reply import Reply
from notqmail.policy.header_text import HeaderText
from notqmail.policy.transaction import Transaction
from notqmail.policy.verdict import ACCEPT, Reject, Verdict

TOO_MANY_HOPS: Final = Reply(554, "5.4.6", "too many hops, this message is looping")
BEEN_HERE: Final = Reply(554, "5.4.6", "this message is looping: it has been delivered here before")


@dataclass(frozen=True, slots=True)
class Loops:
    """`hops` is how many Received fields a message may have, and Delivered-To fields; `is_local` tells our domains: a Delivered-To of
    somebody else is not ours to judge."""

    hops: int
    is_local: Callable[[str], bool]

    needs: ClassVar[tuple[type, ...]] = (HeaderText,)

    def on_message(
        self, txn: Transaction, message: Message
    ) -> Verdict | Mapping[Recipient, Verdict]:
        header = txn.evidence.get(HeaderText)
        assert header is not None  # the pipeline checked the order
        passed = header.lowered.count(b"\r\nreceived:")
        delivered = header.lowered.count(b"\r\ndelivered-to:")
        if passed > self.hops or delivered > self.hops:
            inputs = {"received": passed, "delivered-to": delivered, "limit": self.hops}
            return Reject(TOO_MANY_HOPS, "hops", inputs)
        if not delivered:
            return ACCEPT
        been = _delivered_to(header)
        return {
            recipient: Reject(BEEN_HERE, "delivered-to")
            for recipient in txn.recipients
            if _key(recipient.address) in been and self.is_local(recipient.address.domain)
        }


def _delivered_to(header: HeaderText) -> frozenset[tuple[str, str]]:
    found = set()
    for value in header.values(b"delivered-to"):
        try:
            found.add(_key(Address.parse(value.decode().strip("<>"))))
        except (AddressError, UnicodeDecodeError):
            continue  # whoever wrote it, it is no address of ours
    return frozenset(found)


def _key(address: Address) -> tuple[str, str]:
    return address.fold, address.domain

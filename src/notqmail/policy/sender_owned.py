"""Who has logged in sends as himself: envelope sender, From and Sender belong to the login (RFC 6409 §6.1).

The null sender belongs to everybody: receipts and automatic answers of a mail client have it (RFC 8098 §2.1, RFC 3834 §3.3),
and their From is looked at all the same. Resent mail keeps the From of its author and is refused by that: a Resent-From
would prove nothing to who reads From alone. A field in which other readers may see another address (`ceo@bank.example
<alice@example.org>`) is as good as unreadable.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from notqmail.mail.address import Address
from notqmail.mail.address_list import AddressList, read_addresses
from notqmail.mail.envelope import Recipient
from notqmail.mail.header import Field
from notqmail.mail.login import Login
from notqmail.mail.message import Message
from notqmail.mail.reply import Reply
from notqmail.policy.transaction import Transaction
from notqmail.policy.verdict import ACCEPT, Reject, Verdict
from notqmail.policy.well_formed import Fields

Owns = Callable[[Login, Address], bool]

MAX_AUTHORS: Final = 20  # addresses of From and Sender: each may cost a walk through the aliases
MAX_FIELD: Final = 8192  # octets of one such field that are read
TOO_MANY_AUTHORS: Final = Reply(
    550, "5.7.1", f"From and Sender name more than {MAX_AUTHORS} addresses; name one"
)
_NOTHING: Final = AddressList((), ())
_NAMES: Final = ("from", "sender")
_MAX_NAME: Final = 100  # characters of a name that a reply shows


@dataclass(frozen=True, slots=True)
class SenderOwned:
    """`owns` says whether a login may send as an address. `envelope` and `header` are what is looked at; for an app
    password that is bound to one address, both are."""

    owns: Owns
    envelope: bool = True
    header: bool = True

    needs: ClassVar[tuple[type, ...]] = (Fields,)

    def on_rcpt(self, txn: Transaction, recipient: Recipient) -> Verdict:
        """Judge the envelope sender. Not at MAIL: what is held from there spares whom we know."""
        login, sender = txn.session.login, txn.sender
        if login is None or sender is None or not (self.envelope or login.only_from is not None):
            return ACCEPT
        if self.owns(login, sender):
            return ACCEPT
        return Reject(Reply(553, "5.7.1", f"not your address: {_whose(login)}"), "envelope sender")

    def on_message(self, txn: Transaction, message: Message) -> Verdict:
        """Judge every address of every From and Sender field."""
        login = txn.session.login
        if login is None or not (self.header or login.only_from is not None):
            return ACCEPT
        fields = txn.evidence.get(Fields)
        assert fields is not None  # the pipeline checked the order
        authors: list[tuple[str, Address]] = []
        for field in (field for name in _NAMES for field in fields.named(name)):
            found = read_addresses(field.value) if len(field.raw) <= MAX_FIELD else _NOTHING
            if found.unreadable or found.ambiguous or not found.addresses:
                return _unreadable(field, login)
            authors += [(field.name, address) for address in found.addresses]
            if len(authors) > MAX_AUTHORS:
                return Reject(TOO_MANY_AUTHORS, "authors", {"limit": MAX_AUTHORS})
        return self._judge(login, authors)

    def _judge(self, login: Login, authors: Sequence[tuple[str, Address]]) -> Verdict:
        for name, address in authors:
            if not self.owns(login, address):
                reply = Reply(550, "5.7.1", f"{name} is not your address: {_whose(login)}")
                return Reject(reply, "header sender", {name.lower(): str(address)})
        return ACCEPT


def _unreadable(field: Field, login: Login) -> Verdict:
    like = f"{field.name}: NAME <{_shown(str(login.address or 'you@example.org'))}>"
    reply = Reply(550, "5.6.0", f"the field {field.name} cannot be read; write it like {like}")
    return Reject(reply, "unreadable sender")


def _whose(login: Login) -> str:
    if login.only_from is not None:
        return f"this app password is for {_shown(str(login.only_from))} alone"
    account = _shown(login.account)
    return f"you are logged in as {account}; send as that, as an alias of it, or ask the postmaster"


def _shown(name: str) -> str:
    """A name as a reply can show it (RFC 6531 §3.7.4.2: not every client takes UTF-8)."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in name[:_MAX_NAME])

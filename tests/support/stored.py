"""Small makers for tests of the stores: messages with routes, drafts, outcomes."""

from collections.abc import Sequence
from dataclasses import replace

from notqmail.mail.address import Address
from notqmail.mail.entry import Entry, Routed
from notqmail.mail.envelope import Envelope, Recipient
from notqmail.mail.errors import SpoolError
from notqmail.mail.hop import Hop
from notqmail.mail.message import Content, Message, Octets
from notqmail.mail.outcome import Action, Outcome
from notqmail.mail.reply import Reply
from notqmail.ports import Store
from tests.support.clock import EPOCH

GONE = Reply(250, "2.0.0", "delivered")
LATER = Reply(451, "4.3.0", "mailbox is locked")


def hop_of(recipient: Recipient) -> Hop:
    """Mail for example.org is local; the rest goes to its domain."""
    address = recipient.address
    if address.domain == "example.org":
        return Hop("local", str(address))
    return Hop("smtp", address.domain)


def routed(
    id: str,
    *to: str,
    sender: str = "sender@example.com",
    content: Content | bytes = b"Subject: test\r\n\r\nhello\r\n",
    born: float = EPOCH,
    login: str = "",
    held: bool = False,
) -> Routed:
    """A message with plain recipients, routed by `hop_of`."""
    recipients = tuple(Recipient(Address.parse(text)) for text in to or ("alice@example.org",))
    envelope = Envelope(Address.parse(sender) if sender else None, recipients)
    octets = Octets(content) if isinstance(content, bytes) else content
    return Routed(id, Message(envelope, octets), tuple(map(hop_of, recipients)), born, login, held)


async def put(store: Store, item: Routed, chunk: int = 65536) -> Sequence[Entry]:
    """Write a message through a draft and commit it."""
    draft = store.draft()
    whole = item.message.content.whole
    assert whole is not None
    try:
        for start in range(0, len(whole), chunk):
            writing = draft.write(whole[start : start + chunk])
            if writing is not None:
                await writing
    except SpoolError:
        draft.discard()
        raise
    message = Message(
        item.message.envelope, draft.content(), item.message.edits, item.message.marks
    )
    return await draft.commit(replace(item, message=message))


async def read(content: Content | Message) -> bytes:
    """All octets of content or of an edited message."""
    return b"".join([chunk async for chunk in content.chunks()])


def outcomes(entry: Entry, action: Action = Action.DELIVERED, reply: Reply = GONE) -> list[Outcome]:
    """The same outcome for every recipient."""
    return [Outcome(recipient, action, reply, "", EPOCH) for recipient in entry.recipients]


def delayed(entry: Entry) -> list[Outcome]:
    return outcomes(entry, Action.DELAYED, LATER)

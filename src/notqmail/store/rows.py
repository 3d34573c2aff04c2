"""Values to rows and back. Pure: no connection, no files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec

from notqmail.mail.address import Address
from notqmail.mail.entry import Entry, QueueRow, Routed
from notqmail.mail.envelope import Body, Envelope, Notify, Recipient, Ret
from notqmail.mail.hop import Hop
from notqmail.mail.message import NO_MARKS, Content, HeaderEdit, Mark, Message
from notqmail.mail.outcome import Outcome
from notqmail.mail.reply import Reply

WAITING, ACTIVE, HELD = range(3)  # entry.state
FIRST_TOKEN = 1  # a commit is a claim

Row = Sequence[Any]

MESSAGE = "id, born, sender_local, sender_domain, options, edits, size, file, content"
ENTRY = "id, destination, state, token, due, attempts, recovered, delay_told, pending"
RECIPIENT = "id, destination, n, local, domain, notify, orcpt, folder, reason"


class Options(msgspec.Struct, omit_defaults=True):
    """What few messages have of their envelope: column message.options."""

    envid: str | None = None
    ret: Ret | None = None
    smtputf8: bool = False
    requiretls: bool = False
    body: Body | None = None
    login: str = ""


class Last(msgspec.Struct, omit_defaults=True):
    """How the last attempt ended for a recipient: column recipient.last. Enough to write a bounce from."""

    code: int
    enhanced: str
    text: str
    mta: str
    at: float


class Packed(NamedTuple):
    """A message as rows, ready to be inserted: the columns MESSAGE, ENTRY and RECIPIENT."""

    message: Row
    entries: Sequence[Row]
    recipients: Sequence[Row]


_options = msgspec.json.Decoder(Options)
_last = msgspec.json.Decoder(Last)
_edits = msgspec.msgpack.Decoder(tuple[tuple[str, bytes, int | None], ...])
_json = msgspec.json.Encoder()
_msgpack = msgspec.msgpack.Encoder()
_NO_OPTIONS = Options()


def split(routed: Routed, content: Content) -> list[Entry]:
    """Give the claimed entries of a new message, one for each destination, in the envelope's order."""
    message, hops = routed.message, routed.hops
    if message.content is not content:
        message = replace(message, content=content)
    first = hops[0]
    if all(hop == first for hop in hops):
        return [Entry(routed.id, message, first, routed.born, FIRST_TOKEN)]
    groups: dict[Hop, list[Recipient]] = {}
    for recipient, hop in zip(message.envelope.recipients, hops, strict=True):
        groups.setdefault(hop, []).append(recipient)
    return [
        Entry(routed.id, share(message, recipients), hop, routed.born, FIRST_TOKEN)
        for hop, recipients in groups.items()
    ]


def share(message: Message, recipients: Iterable[Recipient]) -> Message:
    """Give the message as some of its recipients see it."""
    chosen = tuple(recipients)
    marks = {r: message.marks[r] for r in chosen if r in message.marks} if message.marks else None
    envelope = replace(message.envelope, recipients=chosen)
    return replace(message, envelope=envelope, marks=marks or NO_MARKS)


def pack(routed: Routed, inline: bytes | None) -> Packed:
    """Give the rows of a new message, its entries active or held. `inline` is the content, or None: it is in a file."""
    id, message = routed.id, routed.message
    state = HELD if routed.held else ACTIVE
    pending: dict[str, int] = {}
    recipients = []
    for n, (recipient, hop) in enumerate(
        zip(message.envelope.recipients, routed.hops, strict=True)
    ):
        destination = hop.destination
        pending[destination] = pending.get(destination, 0) + 1
        recipients.append(_recipient_row(id, destination, n, recipient, message.marks))
    entries = [
        (id, destination, state, FIRST_TOKEN, routed.born, 0, 0, 0, count)
        for destination, count in pending.items()
    ]
    return Packed(_message_row(routed, inline), entries, recipients)


def _message_row(routed: Routed, inline: bytes | None) -> Row:
    envelope, edits = routed.message.envelope, routed.message.edits
    sender = envelope.sender
    return (
        routed.id,
        routed.born,
        None if sender is None else sender.local,
        None if sender is None else sender.domain,
        _pack_options(envelope, routed.login),
        _msgpack.encode([(e.kind, e.field, e.index) for e in edits]) if edits else None,
        routed.message.content.size,
        int(inline is None),
        inline,
    )


def _pack_options(envelope: Envelope, login: str) -> str | None:
    options = Options(
        envelope.envid, envelope.ret, envelope.smtputf8, envelope.requiretls, envelope.body, login
    )
    return None if options == _NO_OPTIONS else _json.encode(options).decode()


def _recipient_row(
    id: str, destination: str, n: int, recipient: Recipient, marks: Mapping[Recipient, Mark]
) -> Row:
    mark = marks.get(recipient) if marks else None
    return (
        id,
        destination,
        n,
        recipient.address.local,
        recipient.address.domain,
        None if recipient.notify is None else recipient.notify.value,
        recipient.orcpt,
        None if mark is None else mark.folder,
        None if mark is None else mark.reason,
    )


def pack_last(outcome: Outcome) -> str:
    """Give column recipient.last after an attempt."""
    reply = outcome.reply
    last = Last(reply.code, reply.enhanced, reply.text, outcome.remote_mta, outcome.at)
    return _json.encode(last).decode()


def describe_last(last: str | None) -> str:
    """Give QueueRow.last_reply for column recipient.last."""
    if last is None:
        return ""
    known = _last.decode(last)
    return str(Reply(known.code, known.enhanced, known.text))


def unpack_message(row: Row, recipients: Iterable[Row], content: Content) -> Message:
    """Read a message back; `row` as MESSAGE, `recipients` as RECIPIENT in the order of `n`."""
    _, _, local, domain, options, edits, *_ = row
    chosen: list[Recipient] = []
    marks: dict[Recipient, Mark] = {}
    for recipient_row in recipients:
        recipient = _unpack_recipient(recipient_row)
        chosen.append(recipient)
        if recipient_row[7] is not None:
            marks[recipient] = Mark(recipient_row[7], recipient_row[8])
    known = _NO_OPTIONS if options is None else _options.decode(options)
    envelope = Envelope(
        None if local is None else Address(local, domain),
        tuple(chosen),
        known.envid,
        known.ret,
        known.smtputf8,
        known.requiretls,
        known.body,
    )
    return Message(envelope, content, _unpack_edits(edits), marks or NO_MARKS)


def unpack_login(row: Row) -> str:
    """Read who sent a message; `row` as MESSAGE."""
    options: str | None = row[4]
    return "" if options is None else _options.decode(options).login


def _unpack_recipient(row: Row) -> Recipient:
    _, _, _, local, domain, notify, orcpt, *_ = row
    return Recipient(Address(local, domain), None if notify is None else Notify(notify), orcpt)


def _unpack_edits(edits: bytes | None) -> tuple[HeaderEdit, ...]:
    if edits is None:
        return ()
    return tuple(
        HeaderEdit(kind, field, index)  # type: ignore[arg-type]  # what we wrote ourselves
        for kind, field, index in _edits.decode(edits)
    )


def unpack_entry(row: Row, message: Message, born: float) -> Entry:
    """Read an entry back; `row` as ENTRY, with the token of its new claim."""
    id, destination, _, token, _, attempts, recovered, delay_told, _ = row
    hop = Hop.of(destination)
    return Entry(
        id, message, hop, born, token, attempts, bool(recovered), delay_told=bool(delay_told)
    )


def state_word(state: int, due: float, now: float) -> str:
    """Give QueueRow.state."""
    if state == WAITING:
        return "due" if due <= now else "deferred"
    return "active" if state == ACTIVE else "held"


def unpack_listed(row: Row, now: float) -> QueueRow:
    """Read one line of `queue list`; `row` as listing.COLUMNS."""
    id, destination, _, born, sender_local, sender_domain, size, state, due, attempts, *rest = row
    local, domain, last = rest
    return QueueRow(
        id=id,
        sender="" if sender_local is None else str(Address(sender_local, sender_domain)),
        recipient=str(Address(local, domain)),
        destination=destination,
        size=size,
        born=born,
        due=due,
        attempts=attempts,
        state=state_word(state, due, now),
        last_reply=describe_last(last),
    )

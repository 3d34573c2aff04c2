"""Messages made fit to travel: 8-bit content as 7-bit, parts and reports of our own. Against Python's own readers."""

import base64
import quopri
from collections.abc import Callable, Mapping
from email import message_from_bytes

from notqmail.mail.address import Address
from notqmail.mail.completion import LineEnds
from notqmail.mail.downgrade import CannotConvertError, to_seven_bit
from notqmail.mail.dsn import Kind, Original, Report, render
from notqmail.mail.entity import entity, part_spans
from notqmail.mail.envelope import Recipient
from notqmail.mail.header import header_end, split_header
from notqmail.mail.mime import part, seven_bit
from notqmail.mail.outcome import Action, Outcome
from notqmail.mail.reply import Reply
from tests.fuzz.given import Given

_DECODERS: Mapping[bytes, Callable[[bytes], bytes]] = {
    b"quoted-printable": quopri.decodestring,
    b"base64": base64.b64decode,
}
_ADDRESSES = (Address("alice", "example.org"), Address("jürgen", "xn--bcher-kva.example"))
_ACTIONS = (Action.FAILED, Action.DELAYED, Action.DELIVERED, Action.RELAYED)
_CODES = (550, 451, 250, 0)


def _lines(octets: bytes) -> bytes:
    """Content as it comes here: the receiver refuses, and submission repairs, what is no CRLF."""
    ends = LineEnds()
    return ends.feed(octets) + ends.finish()


def downgrade(data: bytes) -> None:
    """What is converted is US-ASCII, decodes to what it was, is bounded in size, and needs no second time."""
    content = _lines(Given(data).rest())
    try:
        made = to_seven_bit(content)
    except CannotConvertError:
        assert not content.isascii()
        return
    assert made.isascii()
    assert to_seven_bit(made) is made
    assert made == content or not content.isascii()
    assert len(made) <= 12 * len(content) + 400
    before, after = entity(content), entity(made)
    assert after.type == before.type or not before.type
    if after.encoding in _DECODERS and made != content:
        assert _DECODERS[after.encoding](after.body) == before.body
    elif before.type.startswith(b"multipart/") and made != content:
        spans, again = (part_spans(e.body, e.boundary) for e in (before, after))
        assert spans is not None
        assert again is not None
        assert len(spans) == len(again)


def made_part(data: bytes) -> None:
    """A part holds what was put into it, in lines that pass everywhere."""
    given = Given(data)
    eight_bit = given.flag()
    body = given.rest()
    made = entity(part("text/plain; charset=utf-8", body, eight_bit=eight_bit))
    decode = _DECODERS.get(made.encoding)
    ended = {body, body + b"\r\n"}  # a line end closes an encoding, and is the boundary's otherwise
    assert (made.body if decode is None else decode(made.body)) in ended
    assert eight_bit or seven_bit(made.body)
    assert max(map(len, made.body.split(b"\r\n"))) <= 998


def report(data: bytes) -> None:
    """Whatever a server said and a stranger wrote, a report has our header, three parts, and a group for each."""
    given = Given(data)
    kind = list(Kind)[given.number(4)]
    to, rcpt = _ADDRESSES[given.number(2)], _ADDRESSES[given.number(2)]
    complete, utf8 = given.flag(), given.flag()
    code, action = _CODES[given.number(4)], _ACTIONS[given.number(4)]
    said, mta, orcpt, envid, head = given.texts(5)
    outcome = Outcome(
        Recipient(rcpt, orcpt=orcpt), action, Reply.received(code or 550, said), mta, 1.0
    )
    original = Original(head.encode(), complete)
    made = Report(
        kind=kind,
        id="1REPORT",
        hostname="mx.example.org",
        to=to,
        outcomes=(outcome, outcome),
        original=original,
        original_id="1QUEUEID",
        born=0.0,
        at=100.0,
        envid=envid,
        until=200.0,
        utf8=utf8,
    )
    _assert_report(made, render(made))


def _assert_report(asked: Report, octets: bytes) -> None:
    assert octets.isascii() or asked.smtputf8
    assert len(octets) <= 8 * len(asked.original.head) + 20_000
    bare = octets.replace(b"\r\n", b"")
    assert asked.smtputf8 or (b"\r" not in bare and b"\n" not in bare)
    names = [field.name for field in split_header(octets[: header_end(octets)])]
    expected = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version"]
    assert [name for name in names if name != "References"] == [*expected, "Content-Type"]
    top = entity(octets)
    spans = part_spans(top.body, top.boundary)
    assert spans is not None
    assert len(spans) == 3
    status = entity(top.body[slice(*spans[1])])
    decode = _DECODERS.get(status.encoding)
    text = status.body if decode is None else decode(status.body)
    groups = text.split(b"\r\n\r\n")
    assert len(groups) == 1 + len(asked.outcomes)
    for group in groups[1:]:
        found = message_from_bytes(group + b"\r\n")
        for name in ("Final-Recipient", "Action", "Status", "Diagnostic-Code"):
            assert len(found.get_all(name, [])) == 1, group

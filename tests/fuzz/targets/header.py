"""The header as octets: fields, edits, traces, hops, what is beyond ASCII in it."""

from email.utils import parsedate_to_datetime

from notqmail.mail.address import Address
from notqmail.mail.envelope import Recipient
from notqmail.mail.header import (
    HeaderEdit,
    HeaderEditor,
    edited,
    edited_size,
    header_end,
    split_header,
)
from notqmail.mail.received import injected_field, received_field
from notqmail.mail.traits import Traits, TraitScanner, traits_of
from notqmail.policy.header_text import HeaderText
from notqmail.policy.loops import Loops
from notqmail.policy.verdict import ACCEPT, Reject
from tests.fuzz.given import Given
from tests.support.policy import LOCAL, is_local, message, transaction

_NAMES = (b"received", b"delivered-to", b"message-id", b"subject")
_ALICE = Recipient(Address("alice", LOCAL))


def fields(data: bytes) -> None:
    """Fields are slices of the header, in order, without a gap; both readers find the same in it."""
    content = Given(data).rest()
    end = header_end(content)
    assert 0 <= end <= len(content)
    header = content[:end]
    found = list(split_header(header))
    assert header.startswith(b"".join(field.raw for field in found))
    for field in found:
        assert field.name.isascii()
        assert field.name.isprintable()
        assert ":" not in field.name
        assert b"\r\n" not in field.value
        assert len(field.value) < len(field.raw)
        assert list(split_header(field.raw)) == [field]
    text = HeaderText(header)
    for name in _NAMES:
        plain = [f.value for f in found if f.raw.lower().startswith(name + b":")]
        assert list(text.values(name))[: len(plain)] == plain


def edits(data: bytes) -> None:
    """Edits do not depend on the split, add what they say, and never touch the body."""
    given = Given(data)
    index = given.number(4)
    asked = (
        HeaderEdit("prepend", b"X-Before: 1\r\n"),
        HeaderEdit("remove", b"subject", None if index == 3 else index),
        HeaderEdit("append", b"X-After: 2\r\n"),
    )[given.number(3) :]
    pieces = given.pieces()
    content = b"".join(pieces)
    whole = edited(asked, content)
    editor = HeaderEditor(asked)
    split = [piece for each in pieces for piece in editor.feed(each)]
    assert b"".join([*split, *editor.finish()]) == whole
    assert len(whole) <= len(content) + edited_size(asked)
    assert whole.endswith(content[header_end(content) :])
    names = [field.name.lower() for field in split_header(whole[: header_end(whole)])]
    if asked[0].kind == "prepend":
        assert names[0] == "x-before"
    if asked[0].kind == "remove" and index == 3:
        assert "subject" not in names
    assert b"X-After: 2\r\n" in whole


def loops(data: bytes) -> None:
    """More hops never make a message more welcome, and nobody but ours is told that it has been here."""
    header = Given(data).rest()
    txn = transaction(_ALICE)
    txn.evidence.add(HeaderText(header))
    verdicts = [Loops(hops, is_local).on_message(txn, message(txn)) for hops in (0, 1, 5)]
    refused = [isinstance(verdict, Reject) for verdict in verdicts]
    assert refused == sorted(refused, reverse=True)
    for verdict in verdicts:
        if verdict is not ACCEPT and not isinstance(verdict, Reject):
            assert isinstance(verdict, dict)
            assert set(verdict) <= {_ALICE}


def received(data: bytes) -> None:
    """Whatever a peer calls itself, the trace is one field with one date, and passes the next server's checks."""
    given = Given(data)
    at = given.number() * 2.0 ** given.number(30)
    helo, name, address, tls = given.texts(4)
    made = received_field(
        helo=helo,
        address=address,
        rdns=name,
        hostname="mx.example.org",
        protocol="ESMTP",
        id="1QUEUEID",
        at=at,
        recipient=_ALICE.address,
        tls=tls,
    )
    for field in (made, injected_field(hostname="mx.example.org", user=helo, id="1QUEUEID", at=at)):
        (only,) = split_header(field)
        assert only.raw == field
        assert field.isascii()
        assert max(map(len, field.split(b"\r\n"))) <= 998
        assert not {*b"\r\n"} & {*field.replace(b"\r\n", b"")}
        before, _, date = only.value.decode().rpartition(";")
        assert ";" not in before
        assert parsedate_to_datetime(date).timestamp() == int(at)
    assert made.count(b" for ") + made.count(b"\tfor ") == 1
    assert made.count(b"<") == 1


def traits(data: bytes) -> None:
    """What is seen in pieces is what is seen in the whole."""
    pieces = Given(data).pieces()
    content = b"".join(pieces)
    scanner = TraitScanner()
    settled: Traits | None = None
    for piece in pieces:
        scanner.feed(piece)
        assert settled is None or scanner.traits == settled
        settled = scanner.traits if scanner.settled else None
    assert scanner.traits == traits_of(content)
    assert scanner.traits.eightbit == (not content.isascii())

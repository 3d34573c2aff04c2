"""The header as evidence: read once, bounded, wherever the content is."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.errors import SpoolError
from notqmail.mail.header import MAX_HEADER, split_header
from notqmail.mail.message import Message
from notqmail.policy.header_text import HeaderText, ReadHeader, message_id
from notqmail.policy.transaction import Transaction
from notqmail.policy.verdict import Defer
from tests.support.policy import ALICE, message, settled, transaction

HEADER = b"Subject: a\r\n folded\r\nX-One: 1\r\nx-one:2\r\nMessage-ID: <1@example.net>\r\n"


@dataclass
class OnDisk:
    """Content that is never held whole."""

    data: bytes
    step: int
    read: int = 0
    whole = None

    @property
    def size(self) -> int:
        return len(self.data)

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.data), self.step):
            self.read += self.step
            yield self.data[start : start + self.step]


async def read(content: bytes | OnDisk) -> Transaction:
    txn = transaction(ALICE)
    judged = message(txn, b"") if isinstance(content, OnDisk) else message(txn, content)
    if isinstance(content, OnDisk):
        judged = Message(txn.envelope, content)
    await settled(ReadHeader().on_message(txn, judged))
    return txn


async def octets(content: bytes | OnDisk) -> bytes:
    header = (await read(content)).evidence.get(HeaderText)
    assert header is not None
    return header.octets


async def test_the_header_ends_before_the_empty_line() -> None:
    assert await octets(HEADER + b"\r\nbody: no\r\n") == HEADER


async def test_a_message_may_have_no_header() -> None:
    assert await octets(b"\r\nbody\r\n") == b""


async def test_content_on_disk_is_read_only_as_far_as_the_header_goes() -> None:
    content = OnDisk(HEADER + b"\r\n" + b"x" * 1000, step=16)

    assert await octets(content) == HEADER
    assert content.read < len(HEADER) + 32


async def test_a_header_without_end_is_read_to_the_bound() -> None:
    content = OnDisk(b"x" * (3 * MAX_HEADER), step=65536)

    assert len(await octets(content)) == MAX_HEADER
    assert content.read == MAX_HEADER


async def test_a_disk_that_does_not_give_the_header_defers_the_message() -> None:
    class Full(OnDisk):
        async def chunks(self) -> AsyncIterator[bytes]:
            yield HEADER[:10]
            raise SpoolError("no space left on device", full=True)

    txn = transaction(ALICE)

    said = await settled(ReadHeader().on_message(txn, Message(txn.envelope, Full(HEADER, step=1))))

    assert isinstance(said, Defer)
    assert said.rule == "store"
    assert str(said.reply).startswith("452 4.3.1")
    assert txn.evidence.get(HeaderText) == HeaderText(HEADER[:10])  # the next stage relies on it


async def test_a_short_message_on_disk_may_be_all_header() -> None:
    assert await octets(OnDisk(HEADER, step=7)) == HEADER


def test_fields_are_found_whatever_their_case_and_unfolded() -> None:
    header = HeaderText(HEADER)

    assert list(header.values(b"subject")) == [b"a folded"]
    assert list(header.values(b"x-one")) == [b"1", b"2"]
    assert list(header.values(b"one")) == []


def test_the_last_field_may_lack_its_line_end() -> None:
    assert list(HeaderText(b"A: 1\r\nB: 2").values(b"b")) == [b"2"]


names = st.sampled_from([b"A", b"Ab", b"a-b"])
values = st.sampled_from([b"", b" x", b" x\r\n y", b"\r\n\tz ", b" a: b"])


@given(st.lists(st.tuples(names, values)))
def test_the_search_finds_what_the_parser_finds(fields: list[tuple[bytes, bytes]]) -> None:
    octets = b"".join(name + b":" + value + b"\r\n" for name, value in fields)
    parsed = list(split_header(octets))

    for name in (b"a", b"ab", b"a-b"):
        expected = [f.value for f in parsed if f.name.lower().encode() == name]
        assert list(HeaderText(octets).values(name)) == expected


async def test_the_message_id_is_given_as_written() -> None:
    assert message_id(await read(HEADER + b"\r\n")) == "<1@example.net>"


async def test_a_message_id_that_is_no_text_is_replaced() -> None:
    assert message_id(await read(b"Message-ID: <\xff@x>\r\n\r\n")) == "<\ufffd@x>"


async def test_without_one_there_is_none() -> None:
    assert message_id(await read(b"\r\n")) == ""
    assert message_id(transaction()) == ""


def test_only_blanks_around_a_value_are_taken_off() -> None:
    assert list(HeaderText(b"A: \t\x0b1\x0c\t \r\n").values(b"a")) == [b"\x0b1\x0c"]

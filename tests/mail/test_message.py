"""Messages."""

from collections.abc import AsyncIterator

from notqmail.mail.envelope import Envelope
from notqmail.mail.header import HeaderEdit
from notqmail.mail.message import CHUNK, NO_MARKS, Message, Octets

NOBODY = Envelope(None, ())
EDITS = (HeaderEdit("prepend", b"X: 1\r\n"), HeaderEdit("append", b"Y: 2\r\n"))


class Large:
    """Content that is read in chunks only."""

    size = 12
    whole = None

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b"A: 1\r"
        yield b"\n\r\nb\r\n"


async def read(message: Message) -> bytes:
    return b"".join([chunk async for chunk in message.chunks()])


async def test_octets_are_read_in_chunks_and_again() -> None:
    content = Octets(b"x" * (2 * CHUNK + 1))

    sizes = [len(chunk) async for chunk in content.chunks()]

    assert content.size == 2 * CHUNK + 1
    assert sizes == [CHUNK, CHUNK, 1]
    assert sizes == [len(chunk) async for chunk in content.chunks()]


async def test_no_octets_are_no_chunks() -> None:
    assert [chunk async for chunk in Octets(b"").chunks()] == []


async def test_a_message_without_edits_is_its_content() -> None:
    message = Message(NOBODY, Octets(b"A: 1\r\n\r\nb\r\n"))

    assert message.whole == await read(message) == b"A: 1\r\n\r\nb\r\n"
    assert message.size == len(message.whole)
    assert message.marks is NO_MARKS


async def test_edits_are_applied_whenever_it_is_read() -> None:
    message = Message(NOBODY, Octets(b"A: 1\r\n\r\nb\r\n"), EDITS)

    assert message.whole == await read(message) == b"X: 1\r\nA: 1\r\nY: 2\r\n\r\nb\r\n"
    assert message.size >= len(message.whole)


async def test_edits_of_a_header_without_end_come_at_the_end() -> None:
    assert await read(Message(NOBODY, Octets(b"A: 1\r\n"), EDITS)) == b"X: 1\r\nA: 1\r\nY: 2\r\n"


async def test_a_large_message_is_never_whole() -> None:
    for edits in ((), EDITS):
        message = Message(NOBODY, Large(), edits)

        assert message.whole is None
        assert (await read(message)).endswith(b"\r\n\r\nb\r\n")

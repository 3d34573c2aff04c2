"""tests/support/smtp_sink.py"""

import asyncio

from tests.support.smtp_sink import SmtpSink

MESSAGE = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<x@y.example>\r\nDATA\r\n"


async def _said(sink: SmtpSink, octets: bytes) -> list[bytes]:
    """Send everything at once, and give the codes that came back."""
    reader, writer = await asyncio.open_connection(sink.host, sink.port)
    writer.write(octets + b"QUIT\r\n")
    answers = (await reader.read()).splitlines()
    writer.close()
    return [line[:3] for line in answers]


async def test_a_message_is_handed_on_as_it_was_on_the_wire() -> None:
    taken: list[tuple[bytes, list[str]]] = []

    async with SmtpSink(lambda *message: taken.append(message)) as sink:
        said = await _said(sink, MESSAGE + b"hello\r\n..dots\r\n.\r\n")

    assert said == [b"220", b"250", b"250", b"354", b"250", b"221"]
    assert taken == [(b"hello\r\n..dots\r\n", ["x@y.example"])]


async def test_who_is_put_off_cannot_send() -> None:
    taken: list[bytes] = []

    async with SmtpSink(lambda content, _: taken.append(content), put_off=bool) as sink:
        said = await _said(sink, MESSAGE)

    assert said == [b"220", b"250", b"451", b"554", b"221"]
    assert taken == []

"""A client may be gone at any octet: the server stays, half a message is no message, a whole one is kept."""

import socket
import struct
from collections.abc import Iterator

import pytest

from tests.support.server import Server, serving
from tests.support.smtp_client import SmtpClient

DIALOG = (
    b"EHLO client.example\r\nMAIL FROM:<bob@sender.example>\r\nRCPT TO:<alice@example.org>\r\n"
    b"DATA\r\nSubject: cut\r\n\r\nHello.\r\n.\r\nQUIT\r\n"
)
CHUNKED = (
    b"EHLO client.example\r\nMAIL FROM:<bob@sender.example>\r\nRCPT TO:<alice@example.org>\r\n"
    b"BDAT 16\r\nSubject: cut\r\n\r\nBDAT 8 LAST\r\nHello.\r\nQUIT\r\n"
)
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a RST, whatever was not read or sent


@pytest.fixture
def own() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.mark.parametrize(
    ("dialog", "end"),
    [(DIALOG, DIALOG.index(b".\r\nQUIT") + 3), (CHUNKED, CHUNKED.index(b"QUIT"))],
    ids=["data", "bdat"],
)
def test_half_closed_at_every_octet_is_answered_and_kept_only_when_whole(
    own: Server, dialog: bytes, end: int
) -> None:
    kept = 0
    for length in range(len(dialog) + 1):
        with SmtpClient("127.0.0.1", own.port) as client:
            client.send(dialog[:length])
            client.half_close()
            said = _everything(client)
        accepted = "250 2.0.0 queued" in said
        assert accepted == (length >= end), f"cut at {length}: {said}"
        kept += accepted

    own.wait_mail(count=kept)
    assert own.queue_is_empty()
    assert own.mail_count() == kept == len(dialog) + 1 - end


def test_reset_at_every_octet_leaves_no_half_message_and_a_server_that_serves(own: Server) -> None:
    end = DIALOG.index(b".\r\nQUIT") + 3
    for length in range(len(DIALOG) + 1):
        with SmtpClient("127.0.0.1", own.port) as client:
            client.send(DIALOG[:length])
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    with SmtpClient.greeted(own.port) as client:
        client.envelope("bob@sender.example", "alice@example.org")
        assert client.data(b"Subject: last\r\n\r\n").startswith("250 ")
    own.wait_idle()
    whole = len(DIALOG) + 1 - end
    assert 1 <= own.mail_count() <= whole + 1
    for message in own.mail():
        assert message.endswith((b"Hello.\r\n", b"\r\n\r\n", b"Hello.\n", b"\n\n"))


def _everything(client: SmtpClient) -> str:
    said = []
    while not said or not said[-1].endswith("EOF"):
        said.append(client.reply())
    return "\n".join(said)

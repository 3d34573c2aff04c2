"""Look-alikes of the end of data, as published by the scanners: none ends a message, none gets a message in."""

from tests.support import vectors
from tests.support.server import Server
from tests.support.smtp_client import SmtpClient

SMUGGLED = (
    b"MAIL FROM:<forged@example.org>\r\nRCPT TO:<alice@example.org>\r\n"
    b"DATA\r\nSubject: smuggled\r\n\r\n.\r\n"
)


def test_no_published_look_alike_ends_the_data(server: Server) -> None:
    before = server.mail_count()
    for case in vectors.load("smuggling-end-of-data"):
        look_alike = case["seq"].encode("latin-1")
        with SmtpClient.greeted(server.port) as client:
            client.envelope("bob@sender.example", "alice@example.org")
            assert client.ask("DATA").startswith("354")
            client.send(b"Subject: outer\r\n\r\ntext" + look_alike + SMUGGLED)
            answer = client.reply()
            client.send(b"QUIT\r\n")
            rest = client.reply()

        kept = b"".join(server.wait_mail(count=before + 1)) if answer[:3] == "250" else b""
        assert rest.startswith("221"), f"{look_alike!r} ended the data: {answer}, {rest}"
        # one of them is no look-alike at all: CRLF, a dot, text
        if kept:
            before += 1
            assert b"\r\n" not in look_alike.removeprefix(b"\r\n"), look_alike
    assert server.queue_is_empty()
    assert server.mail_count() == before

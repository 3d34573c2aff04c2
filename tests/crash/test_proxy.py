"""What the witness on the wire notes."""

import pytest

from tests.crash.proxy import Conversation

Noted = list[tuple[str, list[str], int]]
CONTENT = b"From: <a@b.example>\r\n\r\nhello\r\n"


@pytest.fixture
def noted() -> Noted:
    return []


@pytest.fixture
def talk(noted: Noted) -> Conversation:
    return Conversation(lambda id, to, octets: noted.append((id, list(to), octets)))


def _say(talk: Conversation, *turns: tuple[bytes, bytes]) -> None:
    for client, server in turns:
        talk.client(client)
        talk.server(server)


def _until_data(talk: Conversation, *recipients: bytes) -> None:
    talk.server(b"220 mx\r\n")
    _say(talk, (b"HELO x\r\n", b"250 mx\r\n"), (b"MAIL FROM:<a@b.example>\r\n", b"250 ok\r\n"))
    for recipient in recipients:
        _say(talk, (b"RCPT TO:<%b>\r\n" % recipient, b"250 ok\r\n"))
    _say(talk, (b"DATA\r\n", b"354 go ahead\r\n"))


def test_message_answered_250_is_noted_with_its_recipients(
    talk: Conversation, noted: Noted
) -> None:
    _until_data(talk, b"x@example.org", b"y@example.org")
    _say(talk, (CONTENT + b".\r\n", b"250 2.0.0 queued as ABC\r\n"))

    assert noted == [("ABC", ["x@example.org", "y@example.org"], len(CONTENT))]


@pytest.mark.parametrize("cut", range(1, len(CONTENT) + 3))
def test_content_may_come_in_any_pieces(talk: Conversation, noted: Noted, cut: int) -> None:
    _until_data(talk, b"x@example.org")
    sent = CONTENT + b".\r\n"
    talk.client(sent[:cut])
    talk.client(sent[cut:])
    talk.server(b"250 2.0.0 que")
    talk.server(b"ued as ABC\r\n")

    assert noted == [("ABC", ["x@example.org"], len(CONTENT))]


def test_message_refused_at_its_end_is_not_noted(talk: Conversation, noted: Noted) -> None:
    _until_data(talk, b"x@example.org")
    _say(talk, (CONTENT + b".\r\n", b"451 4.3.0 later\r\n"))

    assert noted == []


def test_refused_recipient_is_not_owed_anything(talk: Conversation, noted: Noted) -> None:
    talk.server(b"220 mx\r\n")
    _say(
        talk,
        (b"MAIL FROM:<a@b.example>\r\n", b"250 ok\r\n"),
        (b"RCPT TO:<no@example.org>\r\n", b"550 no\r\n"),
        (b"RCPT TO:<x@example.org>\r\n", b"250 ok\r\n"),
        (b"DATA\r\n", b"354 go\r\n"),
        (CONTENT + b".\r\n", b"250 2.0.0 queued as ABC\r\n"),
    )

    assert noted == [("ABC", ["x@example.org"], len(CONTENT))]


def test_second_message_of_a_connection_has_its_own_recipients(
    talk: Conversation, noted: Noted
) -> None:
    for id in (b"A", b"B"):
        _until_data(talk, id + b"@example.org")
        _say(talk, (CONTENT + b".\r\n", b"250 2.0.0 queued as %b\r\n" % id))

    assert [(id, to) for id, to, _ in noted] == [("A", ["A@example.org"]), ("B", ["B@example.org"])]


def test_250_without_a_queue_id_is_not_passed_over(talk: Conversation) -> None:
    _until_data(talk, b"x@example.org")

    with pytest.raises(ValueError, match="without a queue id"):
        _say(talk, (CONTENT + b".\r\n", b"250 fine\r\n"))

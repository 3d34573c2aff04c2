"""Recognising delivered messages."""

from pathlib import Path

import pytest

from tests.crash.ledger import Promise
from tests.crash.maildirs import Maildirs
from tests.crash.message import recognised

SENT = b"From: <a@b.example>\r\n\r\nhello\r\n"
STORED = b"""\
Return-Path: <a@b.example>
Delivered-To: alice@example.org
Received: from vm ([127.0.0.1]) by mx.example.org (notqmail) with SMTP
\tid DC1NWAATYREWAV for <alice@example.org>; Sun, 22 Nov 2026 21:27:05 +0000
""" + SENT.replace(b"\r", b"")
PROMISE = Promise("DC1NWAATYREWAV", "alice@example.org", len(SENT))


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "1").write_bytes(STORED)
    return tmp_path


def test_stored_message_is_recognised_with_the_octets_that_were_sent() -> None:
    assert recognised(STORED) == ("DC1NWAATYREWAV", len(SENT))


def test_relayed_message_is_recognised_with_the_octets_that_were_sent() -> None:
    assert recognised(STORED.replace(b"\n", b"\r\n")) == ("DC1NWAATYREWAV", len(SENT))


def test_message_of_zeros_is_nobody_s() -> None:
    assert recognised(bytes(4096)) == ("?", 0)


def test_messages_are_found_by_mailbox(maildir: Path) -> None:
    [copy] = Maildirs([maildir]).copies()

    assert copy.promise == PROMISE


def test_message_that_was_seen_and_is_gone_is_missed(maildir: Path) -> None:
    maildirs = Maildirs([maildir])
    maildirs.copies()

    (maildir / "new" / "1").unlink()

    assert maildirs.copies() == []


def test_emptied_maildirs_hold_nothing(maildir: Path) -> None:
    maildirs = Maildirs([maildir])

    maildirs.empty()

    assert maildirs.copies() == []


def test_mailbox_without_a_maildir_holds_nothing(tmp_path: Path) -> None:
    assert Maildirs([tmp_path / "none"]).copies() == []

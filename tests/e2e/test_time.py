"""Silence is bounded, slowness is not punished: timeouts restart with progress (aiosmtpd's do not)."""

import time
from collections.abc import Iterator

import pytest

from tests.support.server import Server, serving
from tests.support.smtp_client import SmtpClient


@pytest.fixture(scope="module")
def impatient() -> Iterator[Server]:
    settings = {
        "listen.0.limits.command_timeout": "1s",
        "listen.0.limits.data_timeout": "1s",
    }
    with serving(settings=settings) as server:
        yield server


def test_silence_before_a_command_ends_with_421(impatient: Server) -> None:
    with SmtpClient.greeted(impatient.port) as client:
        assert client.reply().startswith("421 4.4.2 ")
        assert client.reply() == "EOF"


def test_silence_within_a_message_ends_with_421_and_no_message(impatient: Server) -> None:
    impatient.wait_idle()
    before = impatient.mail_count()
    with SmtpClient.greeted(impatient.port) as client:
        client.envelope("bob@sender.example", "alice@example.org")
        client.ask("DATA")
        client.send(b"Subject: half\r\n\r\n")

        assert client.reply().startswith("421 4.4.2 ")
        assert client.reply() == "EOF"
    assert impatient.queue_is_empty()
    assert impatient.mail_count() == before


def test_slow_message_is_accepted_although_it_takes_longer_than_the_timeout(
    impatient: Server,
) -> None:
    with SmtpClient.greeted(impatient.port) as client:
        client.envelope("bob@sender.example", "alice@example.org")
        client.ask("DATA")
        for line in range(8):
            client.send(b"X-Line: %d\r\n" % line)
            time.sleep(0.3)  # a slow line: what the timeout is about
        client.send(b"\r\n.\r\n")

        assert client.reply().startswith("250 ")

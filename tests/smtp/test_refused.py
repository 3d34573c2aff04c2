"""Refusals."""

from notqmail.mail.errors import ProtocolError
from notqmail.mail.reply import Reply
from notqmail.smtp.refused import RefusedError


def test_a_refusal_carries_its_reply() -> None:
    refusal = RefusedError(501, "5.5.4", "no")

    assert refusal.reply == Reply(501, "5.5.4", "no")
    assert isinstance(refusal, ProtocolError)


def test_what_the_peer_sent_is_told_in_ascii() -> None:
    assert RefusedError(501, "5.1.3", "no domain: '☕'").reply.text == r"no domain: '\u2615'"

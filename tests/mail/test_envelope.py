"""Envelopes."""

import pytest

from notqmail.mail.address import Address
from notqmail.mail.envelope import Body, Envelope, Notify, Recipient, Ret

BOB = Address("bob", "example.org")


def test_unasked_failures_and_delays_are_told() -> None:
    recipient = Recipient(BOB)

    assert recipient.wants(Notify.FAILURE)
    assert recipient.wants(Notify.DELAY)
    assert not recipient.wants(Notify.SUCCESS)


@pytest.mark.parametrize("event", [Notify.SUCCESS, Notify.FAILURE, Notify.DELAY])
def test_never_is_never(event: Notify) -> None:
    assert not Recipient(BOB, Notify.NEVER).wants(event)


@pytest.mark.parametrize("event", [Notify.SUCCESS, Notify.FAILURE, Notify.DELAY])
def test_what_was_asked_is_told_and_nothing_else(event: Notify) -> None:
    assert Recipient(BOB, event).wants(event)
    assert not Recipient(BOB, ~event).wants(event)


def test_words_are_those_of_the_wire() -> None:
    assert [str(word) for word in (*Ret, *Body)] == [
        "FULL",
        "HDRS",
        "7BIT",
        "8BITMIME",
        "BINARYMIME",
    ]


def test_an_envelope_may_have_no_sender() -> None:
    assert Envelope(None, (Recipient(BOB),)).sender is None

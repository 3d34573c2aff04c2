"""What is too much."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.sending import LEAST, Hold, SendingLimits, Sent, charge, excess

LIMITS = SendingLimits(messages=5, recipients=20, new_recipients=10)


@pytest.mark.parametrize("sent", [Sent(), Sent(5, 20, 10)])
def test_as_much_as_is_allowed_is_not_too_much(sent: Sent) -> None:
    assert excess(sent, LIMITS) == ""


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (Sent(6, 6, 6), "6 messages within an hour, submission.messages_per_hour is 5"),
        (Sent(1, 21, 0), "21 recipients within an hour, submission.recipients_per_hour is 20"),
        (
            Sent(1, 11, 11),
            "11 new recipients within an hour, submission.new_recipients_per_hour is 10",
        ),
        (Sent(6, 21, 11), "6 messages within an hour, submission.messages_per_hour is 5"),
    ],
)
def test_one_more_is_and_the_reason_names_the_key(sent: Sent, reason: str) -> None:
    assert excess(sent, LIMITS) == reason


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_without_limits_nothing_is_too_much(messages: int, recipients: int, new: int) -> None:
    assert excess(Sent(messages, recipients, new), SendingLimits()) == ""


def test_a_hold_is_full_when_more_is_kept_than_is_allowed() -> None:
    limits = SendingLimits(kept=100)

    assert not Hold("alice", 0.0, "", kept=100).full(limits)
    assert Hold("alice", 0.0, "", kept=101).full(limits)


def test_the_smallest_message_takes_a_block_of_the_disk() -> None:
    assert [charge(size) for size in (0, LEAST, LEAST + 1)] == [LEAST, LEAST, LEAST + 1]

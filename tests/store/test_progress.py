"""What is left of an entry after an attempt."""

import pytest

from notqmail.mail.entry import Entry
from notqmail.mail.hop import Hop
from notqmail.mail.outcome import Action, Outcome
from notqmail.store.progress import progress_of
from tests.support.stored import GONE, LATER, delayed, outcomes, routed

A, B = "a@example.net", "b@example.net"


def entry(*to: str) -> Entry:
    item = routed("0A", *to)
    return Entry("0A", item.message, Hop("smtp", "example.net"), item.born, 1)


def test_nothing_is_left_when_all_are_done() -> None:
    one = entry(A, B)

    assert progress_of(one, outcomes(one), None, False) is None
    assert progress_of(one, outcomes(one)[::-1], None, False) is None  # in any order


def test_who_is_delayed_and_who_has_no_outcome_is_left() -> None:
    one = entry(A, B, A)
    a, b, _ = one.recipients

    rest = progress_of(
        one, [Outcome(a, Action.FAILED, GONE), Outcome(b, Action.DELAYED, LATER)], 5.0, True
    )

    assert rest is not None
    assert (rest.finished, set(rest.last), rest.due, rest.delay_told) == ({0}, {1}, 5.0, True)
    assert "mailbox is locked" in rest.last[1]


def test_a_recipient_has_one_outcome_for_each_time_it_stands() -> None:
    one = entry(A)

    with pytest.raises(ValueError, match="no recipient"):
        progress_of(one, [*outcomes(one), *outcomes(one)], None, False)


def test_what_is_left_needs_a_time() -> None:
    one = entry(A)

    with pytest.raises(ValueError, match="no time"):
        progress_of(one, delayed(one), None, False)

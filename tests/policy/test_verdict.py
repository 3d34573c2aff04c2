"""Verdicts: their order, and that merging never makes one milder."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.message import Mark
from notqmail.mail.reply import Reply
from notqmail.policy.verdict import (
    Accept,
    Defer,
    Quarantine,
    Reject,
    Verdict,
    strictest,
    with_reply,
    word,
)

LATER, NO = Reply(450, "4.7.1", "later"), Reply(550, "5.7.1", "no")
ORDER: list[Verdict] = [Accept(), Quarantine(Mark("Junk")), Defer(LATER), Reject(NO)]
verdicts = st.builds(
    lambda kind, rule: [
        Accept(rule),
        Quarantine(Mark("Junk"), rule),
        Defer(LATER, rule),
        Reject(NO, rule),
    ][kind],
    st.integers(0, 3),
    st.sampled_from("abc"),
)


def rank(verdict: Verdict) -> int:
    return [type(each) for each in ORDER].index(type(verdict))


@pytest.mark.parametrize("first", ORDER, ids=word)
@pytest.mark.parametrize("second", ORDER, ids=word)
def test_the_stricter_of_two_wins(first: Verdict, second: Verdict) -> None:
    assert rank(strictest(first, second)) == max(rank(first), rank(second))


def test_of_equals_the_first_stays() -> None:
    assert strictest(Reject(NO, "a"), Reject(NO, "b")).rule == "a"


@given(verdicts, verdicts, verdicts)
def test_merging_is_associative(a: Verdict, b: Verdict, c: Verdict) -> None:
    assert strictest(strictest(a, b), c) == strictest(a, strictest(b, c))


def test_words_are_those_of_the_journal() -> None:
    assert [word(verdict) for verdict in ORDER] == ["accept", "quarantine", "defer", "reject"]


def test_a_refusal_keeps_its_rule_in_other_words() -> None:
    assert with_reply(Reject(NO, "list", {"zone": "x"}), LATER) == Reject(
        LATER, "list", {"zone": "x"}
    )


def test_verdicts_can_be_counted_in_a_set() -> None:
    assert len({Reject(NO, "a", {"x": 1}), Reject(NO, "a", {"x": 1})}) == 1

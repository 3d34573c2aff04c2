"""One run: what answers are, and what a run without answers gives."""

import pytest

from notqmail.policy.run import MessageRun, is_answer
from notqmail.policy.verdict import ACCEPT, Accept
from tests.support.policy import ALICE, CAROL, LATER, NO, STRANGER, message, transaction


def told(*args: object) -> object:
    return args[-1]


@pytest.mark.parametrize(
    ("said", "answer"),
    [(Accept("x"), True), (NO, True), ({ALICE: NO}, True), (None, False), ("250 OK", False)],
)
def test_verdicts_and_mappings_are_answers(said: object, answer: bool) -> None:
    assert is_answer(said) is answer


def message_run() -> MessageRun:
    txn = transaction(ALICE, CAROL)
    return MessageRun(txn, message(txn), lambda: 0.0, told)  # type: ignore[arg-type]


def test_a_message_is_done_with_when_all_have_rejected_it() -> None:
    run = message_run()

    run.absorb("one", {ALICE: NO})
    assert not run.final

    run.absorb("two", {CAROL: NO})
    assert run.final


def test_a_mapping_with_nonsense_in_it_changes_nothing() -> None:
    run = message_run()

    with pytest.raises(TypeError, match="str is no verdict"):
        run.absorb("odd", {ALICE: NO, CAROL: "no"})

    assert run.outcome() == {ALICE: ACCEPT, CAROL: ACCEPT}


def test_a_mark_of_a_recipient_that_was_refused_later_is_no_verdict() -> None:
    txn = transaction(ALICE)
    txn.marks[STRANGER] = object()  # type: ignore[assignment]

    run = MessageRun(txn, message(txn), lambda: 0.0, told)  # type: ignore[arg-type]
    run.absorb("one", LATER)

    assert run.outcome() == {ALICE: LATER}

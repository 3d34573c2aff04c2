"""What is owed, what is found, and what is wrong."""

from tests.soak.letters import Debt, Letters, letter

DEBT = Debt("m1", "alice")
BODY = b"one\r\n.two\r\n"
BOUNCE = b"Content-Type: multipart/report; report-type=delivery-status\r\n\r\n" + letter("m1", BODY)


def _owing(*debts: Debt) -> Letters:
    letters = Letters()
    letters.owe(debts)
    return letters


def test_message_that_comes_is_no_longer_owed() -> None:
    letters = _owing(DEBT)

    letters.found("alice", b"Received: by us\n" + letter("m1", BODY).replace(b"\r\n", b"\n"))

    assert not letters.owed
    assert not letters.faults
    assert letters.kept == 1


def test_second_copy_is_a_fault() -> None:
    letters = _owing(DEBT)

    letters.found("alice", letter("m1", BODY))
    letters.found("alice", letter("m1", BODY))

    assert letters.faults.total() == 1


def test_message_in_another_mailbox_is_a_fault_and_still_owed() -> None:
    letters = _owing(DEBT)

    letters.found("bob", letter("m1", BODY))

    assert letters.owed == {DEBT}
    assert letters.faults.total() == 1


def test_body_that_has_changed_is_a_fault_and_still_owed() -> None:
    letters = _owing(DEBT)

    letters.found("alice", letter("m1", BODY)[:-3])

    assert letters.owed == {DEBT}
    assert letters.faults == {"a body that is not what was sent": 1}


def test_bounce_is_not_the_message() -> None:
    letters = _owing(DEBT)

    letters.found("alice", BOUNCE)

    assert letters.owed == {DEBT}


def test_bounce_that_was_owed_may_carry_any_part_of_the_message() -> None:
    letters = _owing(DEBT._replace(bounce=True))

    letters.found("alice", BOUNCE[:-3])

    assert not letters.owed
    assert not letters.faults


def test_message_of_others_is_a_fault() -> None:
    letters = _owing()

    letters.found("alice", b"Subject: thin air\r\n\r\n")

    assert letters.faults == {"a message without a mark": 1}


def test_refused_message_is_not_owed() -> None:
    letters = _owing(DEBT)

    letters.forgive([DEBT])
    letters.found("alice", letter("m1", BODY))

    assert not letters.owed
    assert letters.faults.total() == 1


def test_message_without_an_answer_may_come_or_not() -> None:
    letters = _owing(DEBT)

    letters.forgive([DEBT], unsure=True)
    letters.found("alice", letter("m1", BODY))

    assert not letters.owed
    assert not letters.faults

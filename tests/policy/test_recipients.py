"""Recipient validation: the router's word becomes a verdict."""

from dataclasses import dataclass

from notqmail.mail.address import Address
from notqmail.mail.reply import Reply
from notqmail.policy.recipients import UNKNOWN, Recipients
from notqmail.policy.verdict import ACCEPT, Defer, Reject, Verdict
from tests.support.policy import ALICE, transaction


@dataclass(frozen=True)
class Answer:
    accepts: bool
    reply: Reply | None = None


def judged(answer: Answer) -> Verdict:
    asked: list[Address] = []

    def judge(address: Address) -> Answer:
        asked.append(address)
        return answer

    verdict = Recipients(judge).on_rcpt(transaction(), ALICE)
    assert asked == [ALICE.address]
    return verdict


def test_who_lives_here_is_accepted() -> None:
    assert judged(Answer(True)) is ACCEPT


def test_who_does_not_is_refused_in_the_routers_words() -> None:
    gone = Reply(550, "5.1.6", "moved away")

    assert judged(Answer(False, gone)) == Reject(gone, "recipient")


def test_who_cannot_be_told_yet_is_deferred() -> None:
    later = Reply(451, "4.3.0", "the directory is away")

    assert judged(Answer(False, later)) == Defer(later, "recipient")


def test_a_refusal_without_words_is_of_an_unknown_mailbox() -> None:
    assert judged(Answer(False)) == Reject(UNKNOWN, "recipient")

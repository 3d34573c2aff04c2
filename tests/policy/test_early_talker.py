"""Early talkers are refused, whenever it is found out."""

from notqmail.policy.early_talker import TOO_EARLY, EarlyTalker
from notqmail.policy.verdict import ACCEPT
from tests.support.policy import ALICE, pipeline, session, transaction


def test_who_waits_for_the_greeting_passes() -> None:
    assert EarlyTalker().on_mail(transaction()) is ACCEPT


def test_who_does_not_wait_is_refused_at_rcpt() -> None:
    judged, txn = pipeline(EarlyTalker()), transaction(within=session(early=True))

    assert judged.mail(txn) is None
    assert judged.rcpt(txn, ALICE) is TOO_EARLY
    assert str(TOO_EARLY.reply) == "554 5.5.0 you did not wait for the greeting"

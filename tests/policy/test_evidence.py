"""Evidence is written once, and a transaction sees its session's."""

from dataclasses import dataclass

import pytest

from notqmail.policy.evidence import Decision, Evidence
from notqmail.policy.verdict import Accept
from tests.support.policy import LATER, NO


@dataclass(frozen=True)
class Finding:
    value: int


class OtherFinding(Finding):
    pass


def test_what_was_added_is_found_by_its_type() -> None:
    evidence = Evidence()
    evidence.add(Finding(1))

    assert evidence.get(Finding) == Finding(1)


def test_what_was_not_added_is_none() -> None:
    evidence = Evidence()
    evidence.add(OtherFinding(1))

    assert evidence.get(Finding) is None


def test_evidence_cannot_be_altered() -> None:
    evidence = Evidence()
    evidence.add(Finding(1))

    with pytest.raises(ValueError, match="Finding is already written"):
        evidence.add(Finding(2))


def test_the_parent_is_seen_and_hidden_by_what_is_nearer() -> None:
    parent = Evidence()
    parent.add(Finding(1))
    parent.add(OtherFinding(2))
    child = Evidence(parent)
    child.add(Finding(3))

    assert (child.get(Finding), child.get(OtherFinding)) == (Finding(3), OtherFinding(2))


def test_a_decision_shows_what_its_verdict_says() -> None:
    decision = Decision("stage", "rcpt", NO)

    assert (decision.word, decision.rule, decision.reply, dict(decision.inputs)) == (
        "reject",
        "no",
        NO.reply,
        {},
    )


def test_only_a_refusal_has_a_reply() -> None:
    replies = [Decision("stage", "rcpt", verdict).reply for verdict in (Accept("rule"), LATER)]

    assert replies == [None, LATER.reply]

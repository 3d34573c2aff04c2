"""One reply for recipients that disagree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.message import Mark
from notqmail.policy.settle import Disagreement, settle_verdicts
from notqmail.policy.verdict import ACCEPT, Defer, Quarantine, Reject, Verdict
from tests.support.policy import ALICE, CAROL, LATER, NO, POSTMASTER

SUSPECT = Quarantine(Mark("Junk", "smells"))


def test_what_all_accept_is_taken_as_it_is() -> None:
    settled = settle_verdicts({ALICE: ACCEPT, CAROL: ACCEPT})

    assert (settled.reply, dict(settled.marks), settled.dropped) == (None, {}, ())


def test_what_all_reject_is_refused() -> None:
    assert settle_verdicts({ALICE: NO, CAROL: NO}).reply == NO.reply


def test_who_only_wants_it_later_keeps_it_from_being_refused_for_good() -> None:
    assert settle_verdicts({ALICE: NO, CAROL: LATER}).reply == LATER.reply


def test_who_rejects_what_others_take_gets_it_as_junk() -> None:
    settled = settle_verdicts({ALICE: ACCEPT, CAROL: NO})

    assert settled.reply is None
    assert settled.marks == {CAROL: Mark("Junk", "550 5.7.1 no")}


def test_or_the_sender_is_told() -> None:
    settled = settle_verdicts({ALICE: ACCEPT, CAROL: NO}, Disagreement.DSN)

    assert (settled.reply, dict(settled.marks), settled.dropped) == (None, {}, ((CAROL, NO.reply),))


@pytest.mark.parametrize("how", Disagreement)
def test_nobody_is_told_of_a_failure_that_was_to_pass(how: Disagreement) -> None:
    settled = settle_verdicts({ALICE: ACCEPT, CAROL: LATER}, how)

    assert settled.dropped == ()
    assert set(settled.marks) == {CAROL}


def test_a_quarantine_is_kept_as_it_was() -> None:
    assert settle_verdicts({ALICE: SUSPECT}).marks == {ALICE: SUSPECT.mark}


@given(
    st.fixed_dictionaries(
        {who: st.sampled_from([ACCEPT, SUSPECT, LATER, NO]) for who in (ALICE, CAROL, POSTMASTER)}
    ),
    st.sampled_from(Disagreement),
)
def test_every_recipient_is_accounted_for(
    verdicts: dict[object, Verdict], how: Disagreement
) -> None:
    settled = settle_verdicts(verdicts, how)  # type: ignore[arg-type]

    refused = [who for who, verdict in verdicts.items() if isinstance(verdict, Defer | Reject)]
    assert (settled.reply is not None) == (len(refused) == len(verdicts))
    if settled.reply is None:
        dropped = {who for who, _ in settled.dropped}
        assert dropped | set(settled.marks) == {w for w, v in verdicts.items() if v is not ACCEPT}
        assert not dropped & set(settled.marks)

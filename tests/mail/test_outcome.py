"""Outcomes."""

import pytest

from notqmail.mail.address import Address
from notqmail.mail.envelope import Recipient
from notqmail.mail.outcome import Action, Outcome
from notqmail.mail.reply import Reply


@pytest.mark.parametrize("action", list(Action))
def test_every_outcome_but_a_delay_is_final(action: Action) -> None:
    outcome = Outcome(Recipient(Address("a", "b")), action, Reply(250, "", "ok"))

    assert outcome.final is (action is not Action.DELAYED)

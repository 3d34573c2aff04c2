"""Without a login no mail is taken."""

import pytest

from notqmail.mail.envelope import Recipient
from notqmail.mail.login import Login
from notqmail.policy.require_auth import AUTH_FIRST, RequireAuth
from notqmail.policy.verdict import ACCEPT, Reject
from tests.support.policy import ALICE, POSTMASTER, STRANGER, pipeline, session, transaction


@pytest.mark.parametrize("recipient", [ALICE, POSTMASTER])
def test_who_has_not_logged_in_sends_to_nobody(recipient: Recipient) -> None:
    txn = transaction()
    guarded = pipeline(RequireAuth(), exempt=lambda txn, recipient: True)

    guarded.mail(txn)
    verdict = guarded.rcpt(txn, recipient)

    assert isinstance(verdict, Reject)
    assert verdict.reply == AUTH_FIRST


def test_the_reason_is_told_before_relaying_is() -> None:
    txn = transaction()
    guarded = pipeline(RequireAuth())

    guarded.mail(txn)
    verdict = guarded.rcpt(txn, STRANGER)

    assert isinstance(verdict, Reject)
    assert verdict.reply == AUTH_FIRST


def test_who_has_logged_in_passes() -> None:
    txn = transaction(within=session(login=Login("alice@example.org")))
    guarded = pipeline(RequireAuth())

    guarded.mail(txn)

    assert txn.held == []
    assert guarded.rcpt(txn, STRANGER) is ACCEPT

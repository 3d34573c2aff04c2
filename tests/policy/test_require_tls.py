"""Without TLS no mail is taken."""

import pytest

from notqmail.mail.envelope import Recipient
from notqmail.policy.require_tls import STARTTLS_FIRST, RequireTls
from notqmail.policy.verdict import ACCEPT, Reject
from tests.support.policy import ALICE, POSTMASTER, TLS, pipeline, session, transaction


@pytest.mark.parametrize("recipient", [ALICE, POSTMASTER])
def test_mail_in_clear_is_refused_for_everybody(recipient: Recipient) -> None:
    txn = transaction()
    guarded = pipeline(RequireTls(), exempt=lambda txn, recipient: True)

    guarded.mail(txn)
    verdict = guarded.rcpt(txn, recipient)

    assert isinstance(verdict, Reject)
    assert verdict.reply == STARTTLS_FIRST


def test_over_tls_it_passes() -> None:
    txn = transaction(within=session(tls=TLS))
    guarded = pipeline(RequireTls())

    guarded.mail(txn)

    assert txn.held == []
    assert guarded.rcpt(txn, ALICE) is ACCEPT

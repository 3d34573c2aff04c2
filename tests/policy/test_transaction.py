"""What the session and the transaction know."""

import pytest

from notqmail.mail.envelope import Body, Envelope, Ret
from notqmail.mail.login import Login
from notqmail.policy.transaction import Peer, Session
from tests.support.policy import ALICE, PEER, TLS, session, transaction


@pytest.mark.parametrize(
    ("facts", "smtputf8", "keyword"),
    [
        ({}, False, "SMTP"),
        ({"esmtp": True}, False, "ESMTP"),
        ({"esmtp": True, "tls": TLS}, False, "ESMTPS"),
        ({"esmtp": True, "login": Login("alice")}, False, "ESMTPA"),
        ({"esmtp": True, "tls": TLS, "login": Login("alice")}, False, "ESMTPSA"),
        ({"esmtp": True}, True, "UTF8SMTP"),
        ({"esmtp": True, "tls": TLS, "login": Login("alice")}, True, "UTF8SMTPSA"),
        ({"local_user": "alice"}, False, ""),
    ],
)
def test_the_protocol_keyword_is_registered(
    facts: dict[str, object], smtputf8: bool, keyword: str
) -> None:
    assert transaction(within=session(**facts), smtputf8=smtputf8).protocol == keyword


@pytest.mark.parametrize(("smtputf8", "keyword"), [(False, "LMTPS"), (True, "UTF8LMTPS")])
def test_lmtp_has_keywords_of_its_own(smtputf8: bool, keyword: str) -> None:
    lmtp = Session("S", "lmtp", "lmtp", PEER, tls=TLS, esmtp=True)

    assert transaction(within=lmtp, smtputf8=smtputf8).protocol == keyword


def test_the_envelope_is_what_mail_and_rcpt_said() -> None:
    txn = transaction(ALICE, envid="e", ret=Ret.HDRS, body=Body.EIGHTBIT, requiretls=True)

    assert txn.envelope == Envelope(txn.sender, (ALICE,), "e", Ret.HDRS, False, True, Body.EIGHTBIT)


def test_whoever_logged_in_or_injects_here_is_trusted() -> None:
    sessions = [session(), session(login=Login("alice")), session(local_user="alice")]

    assert [each.trusted for each in sessions] == [False, True, True]


def test_a_transaction_sees_the_evidence_of_its_session() -> None:
    within = session()
    within.evidence.add(Peer("192.0.2.1", 1, "192.0.2.2", 25))

    assert transaction(within=within).evidence.get(Peer) is not None

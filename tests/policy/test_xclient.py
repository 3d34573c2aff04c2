"""Who a session is about after XCLIENT."""

from dataclasses import replace

import pytest

from notqmail.mail.address import Address
from notqmail.mail.login import Login
from notqmail.policy.evidence import Decision
from notqmail.policy.transaction import Peer, Session, Tls
from notqmail.policy.verdict import ACCEPT
from notqmail.policy.xclient import assume
from notqmail.smtp.xclient import Xclient

DIRECT = Peer("10.0.0.1", 50000, "10.0.0.2", 587, "proxy.example.org")
CLIENT = Peer("192.0.2.1", 40000, "10.0.0.2", 587, "client.example.net")
ALICE = Login("alice@example.org", Address("alice", "example.org"), "XCLIENT")


def session(peer: Peer = DIRECT, login: Login | None = None) -> Session:
    return Session("s1", "submission", "submission", peer, tls=Tls("TLSv1.3", "x"), login=login)


def test_the_session_begins_anew() -> None:
    before = session()
    before.helo, before.helo_valid, before.esmtp, before.early = "proxy", True, True, True
    before.held.append(Decision("s", "helo", ACCEPT))
    before.decisions.append(before.held[0])
    before.evidence.add("known")
    before.transactions = 3

    after = assume(before, Xclient(address="192.0.2.1", helo="x", proto="ESMTP"), DIRECT)

    assert after == Session(
        "s1",
        "submission",
        "submission",
        Peer("192.0.2.1", 0, "10.0.0.2", 587),
        tls=before.tls,
        evidence=after.evidence,
        transactions=3,
    )
    assert after.evidence.get(str) is None


@pytest.mark.parametrize(
    ("said", "peer"),
    [
        (Xclient(), CLIENT),
        (Xclient(address="2001:db8::1"), Peer("2001:db8::1", 0, "10.0.0.2", 587)),
        (
            Xclient(address="192.0.2.9", name="b.example", port=7),
            Peer("192.0.2.9", 7, "10.0.0.2", 587, "b.example"),
        ),
        (Xclient(address=""), DIRECT),
        (Xclient(name="b.example"), replace(CLIENT, name="b.example")),
        (Xclient(name=""), replace(CLIENT, name="")),
        (Xclient(port=0), replace(CLIENT, port=0)),
        (
            Xclient(local_address="198.51.100.1", local_port=25),
            replace(CLIENT, local_address="198.51.100.1", local_port=25),
        ),
        (Xclient(local_address=""), CLIENT),
        (Xclient(login="alice"), CLIENT),
    ],
)
def test_what_was_said_stays_but_a_new_address_is_a_new_client(said: Xclient, peer: Peer) -> None:
    assert assume(session(CLIENT), said, DIRECT).peer == peer


def test_the_port_of_another_address_of_ours_is_the_connections_until_it_is_told() -> None:
    before = session(replace(CLIENT, local_port=25))

    assert assume(before, Xclient(local_address="198.51.100.1"), DIRECT).peer.local_port == 587


@pytest.mark.parametrize(
    ("said", "login"),
    [
        (Xclient(), ALICE),
        (Xclient(name="b.example"), ALICE),
        (Xclient(login=""), None),
        (Xclient(address="192.0.2.9"), None),
        (Xclient(login="Bob@EXAMPLE.org"), Login("Bob@EXAMPLE.org", Address("Bob", "example.org"), "XCLIENT")),
        (Xclient(login="bob"), Login("bob", Address("bob", "example.org"), "XCLIENT")),
        (Xclient(login="b b"), Login("b b", None, "XCLIENT")),
    ],
)  # fmt: skip
def test_a_login_is_vouched_for_and_kept_with_its_client(
    said: Xclient, login: Login | None
) -> None:
    assert assume(session(CLIENT, ALICE), said, DIRECT, "example.org").login == login


def test_without_a_realm_a_name_is_no_mailbox() -> None:
    for name in ("bob", "postmaster"):
        login = assume(session(), Xclient(login=name), DIRECT).login
        assert login == Login(name, None, "XCLIENT")


def test_the_login_of_the_proxy_is_not_its_clients() -> None:
    own = Login("proxy", None, "PLAIN")

    assert assume(session(login=own), Xclient(name="b.example"), DIRECT).login is None

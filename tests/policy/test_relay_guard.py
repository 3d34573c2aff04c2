"""Who may write to whom."""

import pytest

from notqmail.mail.address import Address
from notqmail.mail.envelope import Recipient
from notqmail.policy.relay_guard import DENIED, RelayGuard
from notqmail.policy.transaction import Peer
from notqmail.policy.verdict import ACCEPT
from tests.support.policy import ALICE, STRANGER, is_local, session, transaction

GUARD = RelayGuard(is_local)


def test_everybody_may_write_to_our_domains() -> None:
    assert GUARD.on_rcpt(transaction(), ALICE) is ACCEPT


def test_the_postmaster_needs_no_domain() -> None:
    assert GUARD.on_rcpt(transaction(), Recipient(Address("postmaster", ""))) is ACCEPT


@pytest.mark.parametrize(
    "address",
    [
        "dave@example.net",
        "dave%example.net@example.com",
        '"dave@example.org"@example.net',
        "dave@sub.example.org",
        "dave@[192.0.2.1]",
    ],
)
def test_a_stranger_may_write_to_nobody_else(address: str) -> None:
    assert GUARD.on_rcpt(transaction(), Recipient(Address.parse(address))) is DENIED


def test_a_client_on_loopback_is_a_stranger() -> None:
    local = session(peer=Peer("127.0.0.1", 1, "127.0.0.1", 25))

    assert GUARD.on_rcpt(transaction(within=local), STRANGER) is DENIED


@pytest.mark.parametrize("known", [{"login": "alice@example.org"}, {"local_user": "alice"}])
def test_whom_we_know_may_write_to_everybody(known: dict[str, str]) -> None:
    assert GUARD.on_rcpt(transaction(within=session(**known)), STRANGER) is ACCEPT


def test_the_refusal_is_permanent_and_of_policy() -> None:
    assert str(DENIED.reply) == "550 5.7.1 relaying denied"

"""Who has logged in sends as himself."""

from typing import Any

import pytest

from notqmail.mail.address import Address
from notqmail.mail.login import Login
from notqmail.policy.header_text import HeaderText
from notqmail.policy.sender_owned import MAX_AUTHORS, MAX_FIELD, TOO_MANY_AUTHORS, SenderOwned
from notqmail.policy.transaction import Transaction
from notqmail.policy.verdict import ACCEPT, Reject, Verdict
from notqmail.policy.well_formed import WellFormed
from tests.support.policy import STRANGER, message, session, transaction

ALICE = Address("alice", "example.org")
BOB = Address("bob", "example.net")
LOGIN = Login("alice@example.org", ALICE)
BOUND = Login("alice@example.org", ALICE, label="phone", only_from=ALICE)


def owns(login: Login, address: Address) -> bool:
    """Whatever begins with alice is hers, unless the app password is bound."""
    if login.only_from is not None:
        return address == login.only_from
    return address.local.startswith("alice")


def begun(login: Login | None = LOGIN, sender: Address | None = ALICE) -> Transaction:
    txn = transaction(STRANGER, within=session(login=login))
    txn.sender = sender
    return txn


def envelope(sender: Address | None, login: Login | None = LOGIN, **options: Any) -> Verdict:
    return SenderOwned(owns, **options).on_rcpt(begun(login, sender), STRANGER)


def header(octets: bytes, login: Login | None = LOGIN, **options: Any) -> Verdict:
    txn = begun(login)
    txn.evidence.add(HeaderText(octets))
    WellFormed().on_message(txn, message(txn))
    return SenderOwned(owns, **options).on_message(txn, message(txn))


def refused(verdict: Verdict) -> str:
    assert isinstance(verdict, Reject)
    return str(verdict.reply)


# -- the envelope -----------------------------------------------------------------------------------------------


def test_an_own_envelope_sender_passes() -> None:
    assert envelope(ALICE) is ACCEPT


def test_somebody_elses_is_refused_and_told_whose_it_must_be() -> None:
    assert refused(envelope(BOB)) == (
        "553 5.7.1 not your address: you are logged in as alice@example.org; send as that, as an alias of it, "
        "or ask the postmaster"
    )


def test_the_null_sender_is_everybodys() -> None:
    assert envelope(None) is ACCEPT
    assert envelope(None, BOUND) is ACCEPT


def test_an_app_password_is_bound_even_when_nothing_is_checked() -> None:
    verdict = envelope(Address("alice+x", "example.org"), BOUND, envelope=False, header=False)

    assert refused(verdict) == (
        "553 5.7.1 not your address: this app password is for alice@example.org alone"
    )


def test_what_is_not_to_be_checked_passes() -> None:
    assert envelope(BOB, envelope=False) is ACCEPT
    assert header(b"From: bob@example.net\r\n", header=False) is ACCEPT


def test_who_has_not_logged_in_is_not_this_stages_to_judge() -> None:
    assert envelope(BOB, None) is ACCEPT
    assert header(b"From: bob@example.net\r\n", None) is ACCEPT


# -- the header -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "octets",
    [
        b"From: alice@example.org\r\n",
        b"From: Alice <alice+x@example.org>\r\nSender: alice@example.org\r\n",
        b"From: alice@example.org, Two <alice2@example.org>\r\n",
        b"FROM\t: =?utf-8?q?bob=40example=2Enet?= <alice@example.org>\r\n",
        b"Subject: no From is another stage's matter\r\n",
        b"From: alice@example.org\r\nReply-To: bob@example.net\r\n",
        b'From: "bob@example.net"\r\n <alice@example.org>\r\n',
    ],
)
def test_own_authors_pass(octets: bytes) -> None:
    assert header(octets) is ACCEPT


@pytest.mark.parametrize(
    ("octets", "field"),
    [
        (b"From: bob@example.net\r\n", "From"),
        (b"From: alice@example.org, bob@example.net\r\n", "From"),
        (b"From: alice@example.org\r\nFrom: bob@example.net\r\n", "From"),
        (b"From: alice@example.org\r\nfrom : bob@example.net\r\n", "from"),
        (b"From: alice@example.org\r\nSENDER: bob@example.net\r\n", "SENDER"),
        (b"From: us: alice@example.org, bob@example.net;\r\n", "From"),
        (b"From: (alice@example.org)\r\n bob@example.net\r\n", "From"),
        (b"Resent-From: alice@example.org\r\nFrom: bob@example.net\r\n", "From"),
    ],
)
def test_one_author_of_somebody_else_is_refused(octets: bytes, field: str) -> None:
    verdict = header(octets)

    assert refused(verdict).startswith(f"550 5.7.1 {field} is not your address: you are logged in")
    assert dict(verdict.inputs) == {field.lower(): "bob@example.net"}


@pytest.mark.parametrize(
    "octets",
    [
        b"From:\r\n",
        b"From: nobody in particular\r\n",
        b"From: <>\r\n",
        b"From: undisclosed:;\r\n",
        b"From: alice@example.org, nonsense\r\n",
        b'From: "open <alice@example.org>\r\n',
        b"From: alice@example.org <bob@example.net\r\n",
        # others may see somebody else in these
        b"From: bob@example.net <alice@example.org>\r\n",
        b"From: alice@example.org <bob@example.net>\r\n",
        b"From: <bob@example.net>:alice@example.org\r\n",
        b"From: Bob <bob@example.net>:;, alice@example.org\r\n",
        b"From: bob@example.net: alice@example.org;\r\n",
        b"From: <@a,bob@example.net,@b:alice@example.org>\r\n",
        b"From: " + b"x" * MAX_FIELD + b" <alice@example.org>\r\n",
    ],
)
def test_what_cannot_be_read_is_refused_with_a_remedy(octets: bytes) -> None:
    assert refused(header(octets)) == (
        "550 5.6.0 the field From cannot be read; write it like From: NAME <alice@example.org>"
    )


def test_the_remedy_for_a_login_without_an_address_has_an_example() -> None:
    assert refused(header(b"From: x\r\n", Login("alice"))).endswith("<you@example.org>")


def test_more_authors_than_are_looked_at_are_refused() -> None:
    many = b", ".join([b"alice@example.org"] * MAX_AUTHORS)

    assert header(b"From: %b\r\n" % many) is ACCEPT
    assert header(b"From: %b\r\nSender: alice@example.org\r\n" % many) == Reject(
        TOO_MANY_AUTHORS, "authors", {"limit": MAX_AUTHORS}
    )


def test_a_field_is_read_up_to_its_limit_and_not_beyond() -> None:
    longest = b"From: alice@example.org".ljust(MAX_FIELD - 2)

    assert header(longest + b"\r\n") is ACCEPT
    assert isinstance(header(longest + b" \r\n"), Reject)


def test_the_journal_tells_what_was_not_his() -> None:
    said = [envelope(BOB), header(b"From: bob@example.net\r\n"), header(b"From: x\r\n")]

    rules = ["envelope sender", "header sender", "unreadable sender"]
    assert [verdict.rule for verdict in said] == rules


def test_an_app_password_binds_from_whatever_is_checked() -> None:
    verdict = header(b"From: alice2@example.org\r\n", BOUND, envelope=False, header=False)

    assert refused(verdict).startswith("550 5.7.1 From is not your address: this app password")


def test_a_reply_shows_no_more_of_a_name_than_a_client_can_take() -> None:
    verdict = envelope(BOB, Login("zoë\r\n" + "x" * 200))

    assert "logged in as zo???xxx" in refused(verdict)
    assert len(refused(verdict)) < 250

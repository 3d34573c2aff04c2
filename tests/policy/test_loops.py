"""Loops: too many hops, or been here before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.address import Address
from notqmail.mail.envelope import Recipient
from notqmail.policy.header_text import HeaderText
from notqmail.policy.loops import BEEN_HERE, TOO_MANY_HOPS, Loops
from notqmail.policy.verdict import ACCEPT, Reject
from tests.support.policy import ALICE, CAROL, STRANGER, is_local, message, transaction

RECEIVED = b"Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\n"


def judge(header: bytes, *recipients: Recipient, hops: int = 10) -> object:
    txn = transaction(*recipients)
    txn.evidence.add(HeaderText(header))
    return Loops(hops, is_local).on_message(txn, message(txn))


def test_as_many_hops_as_allowed_pass() -> None:
    assert judge(RECEIVED * 10, ALICE) is ACCEPT


def test_one_more_is_a_loop() -> None:
    verdict = judge(RECEIVED * 11, ALICE)

    assert isinstance(verdict, Reject)
    assert verdict.reply == TOO_MANY_HOPS
    assert verdict.inputs == {"received": 11, "delivered-to": 0, "limit": 10}


@given(st.integers(0, 30))
def test_only_received_fields_are_counted(count: int) -> None:
    header = b"X-Received: x\r\nSubject: received:\r\n received: folded\r\n" + RECEIVED * count

    assert (judge(header, ALICE) is ACCEPT) == (count <= 10)


@pytest.mark.parametrize(
    "value",
    ["alice@example.org", "ALICE@Example.ORG", "<alice@example.org>", '"alice"@example.org'],
)
def test_who_has_had_it_does_not_get_it_again(value: str) -> None:
    header = f"Delivered-To: {value}\r\n".encode()

    assert judge(header, ALICE, CAROL) == {ALICE: Reject(BEEN_HERE, "delivered-to")}


@pytest.mark.parametrize(
    "value", [b"carol@example.org", b"alice", b"alice@", b"\xff@example.org", b""]
)
def test_somebody_elses_delivery_is_no_loop(value: bytes) -> None:
    assert judge(b"Delivered-To: " + value + b"\r\n", ALICE) == {}


def test_a_delivery_elsewhere_is_not_ours_to_judge() -> None:
    assert judge(b"Delivered-To: dave@example.net\r\n", STRANGER) == {}


def test_an_international_mailbox_is_compared_as_one() -> None:
    zoe = Recipient(Address("zoë", "example.org"))

    assert zoe in judge("Delivered-To: ZOE\u0308@example.org\r\n".encode(), zoe)  # type: ignore[operator]


def test_a_flood_of_delivered_to_is_not_even_read() -> None:
    verdict = judge(b"Delivered-To: x@y\r\n" * 11, ALICE)

    assert isinstance(verdict, Reject)
    assert verdict.rule == "hops"


def test_as_many_deliveries_elsewhere_as_hops_are_allowed_pass() -> None:
    assert judge(b"Delivered-To: x@example.net\r\n" * 10, ALICE) == {}


def test_nonsense_above_does_not_hide_a_delivery() -> None:
    header = b"Delivered-To: nonsense\r\nDelivered-To: alice@example.org\r\n"

    assert judge(header, ALICE) == {ALICE: Reject(BEEN_HERE, "delivered-to")}


def test_only_angle_brackets_are_taken_off_a_delivery() -> None:
    xaver = Recipient(Address("Xaver", "example.org"))

    assert judge(b"Delivered-To: <Xaver@example.org>\r\n", xaver) == {
        xaver: Reject(BEEN_HERE, "delivered-to")
    }

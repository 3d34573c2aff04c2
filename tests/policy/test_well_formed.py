"""A submitted header is a header as a whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.header import MAX_HEADER
from notqmail.policy.header_text import HeaderText
from notqmail.policy.transaction import Transaction
from notqmail.policy.verdict import ACCEPT, Reject, Verdict
from notqmail.policy.well_formed import NO_HEADER, Fields, WellFormed
from notqmail.smtp.content import HEADER_SIZE
from tests.support.policy import ALICE, message, transaction


def judged(header: bytes) -> tuple[Verdict, Transaction]:
    txn = transaction(ALICE)
    txn.evidence.add(HeaderText(header))
    return WellFormed().on_message(txn, message(txn)), txn


def fields(txn: Transaction) -> Fields:
    found = txn.evidence.get(Fields)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "header",
    [b"", b"A: 1\r\n", b"A: 1\r\n 2\r\n\t3\r\nB:\r\n", b"From : a@b\r\n", b"A: no end"],
)
def test_fields_and_folds_pass(header: bytes) -> None:
    verdict, txn = judged(header)

    assert verdict is ACCEPT
    assert b"".join(field.raw for field in fields(txn).all) == header


@pytest.mark.parametrize(
    ("header", "octet"),
    [
        (b"hello\r\n", 0),
        (b" fold of nothing\r\nA: 1\r\n", 0),
        (b"From alice Mon Jan  1 00:00:00 2024\r\nA: 1\r\n", 0),
        (b"A: 1\r\nnonsense\r\nFrom: ceo@example.net\r\n", 6),
        (b": no name\r\n", 0),
        (b"Fr\xc3\xb6m: x\r\n", 0),
    ],
)
def test_a_line_that_is_no_field_is_refused_and_found(header: bytes, octet: int) -> None:
    verdict, _ = judged(header)

    assert verdict == Reject(NO_HEADER, "header", {"octet": octet})


def test_a_field_is_found_however_its_colon_is_written() -> None:
    _, txn = judged(b"FROM: a\r\nX: y\r\nfrom \t: b\r\n")

    assert [field.value for field in fields(txn).named("from")] == [b"a", b"b"]


def test_a_header_too_large_to_be_seen_whole_is_refused() -> None:
    largest = b"A: ".ljust(MAX_HEADER - 3, b"x") + b"\r\n"

    assert judged(largest)[0] is ACCEPT
    assert judged(b"A" + largest)[0] == Reject(HEADER_SIZE, "header size", {"limit": MAX_HEADER})


@given(st.binary(max_size=60))
def test_what_passes_is_fields_to_the_last_octet(header: bytes) -> None:
    verdict, txn = judged(header)

    read = b"".join(field.raw for field in fields(txn).all)
    assert (verdict is ACCEPT) == (read == header)

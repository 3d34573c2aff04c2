"""smtp/content.py"""

from collections.abc import Iterable

import pytest
from hypothesis import given

from notqmail.mail.errors import SpoolError
from notqmail.mail.reply import Reply
from notqmail.smtp import content
from notqmail.smtp.content import SizeCheck, refusal, spool_reply
from notqmail.smtp.faults import Faults
from tests.support.splits import cuts, pieces

HEADER = b"Subject: hi\r\nTo: alice@example.org\r\n"


def fed(check: SizeCheck, octets: Iterable[bytes]) -> list[Reply | None]:
    return [check.feed(piece) for piece in octets]


@pytest.mark.parametrize(
    ("limit", "expected"), [(len(HEADER), None), (len(HEADER) - 1, content.HEADER_SIZE)]
)
@given(offsets=cuts(60))
def test_a_header_is_measured_however_it_is_cut(
    limit: int, expected: Reply | None, offsets: list[int]
) -> None:
    answers = fed(SizeCheck(1000, limit), pieces(HEADER + b"\r\nbody\r\n", offsets))

    assert (expected in answers) if expected else not any(answers)


def test_a_message_without_header_fields_has_no_header_to_measure() -> None:
    assert fed(SizeCheck(1000, 0), [b"\r\n", b"body" * 100]) == [None, None]


def test_a_header_that_never_ends_is_too_large_at_the_limit() -> None:
    assert fed(SizeCheck(1000, 20), [b"A: " + b"x" * 17, b"x"]) == [None, content.HEADER_SIZE]


def test_the_first_octet_over_the_limit_is_too_much() -> None:
    check = SizeCheck(10, 5)

    assert fed(check, [b"\r\n12345678", b"9"]) == [None, content.OVERSIZE]
    assert check.size == 11


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        (Faults(), None),
        (Faults(bare_lf=True, nul=True), content.BARE_NEWLINE),
        (Faults(bare_cr=True, long_line=True), content.BARE_NEWLINE),
        (Faults(nul=True, long_line=True), content.NUL),
        (Faults(long_line=True), content.LONG_LINE),
    ],
)
def test_the_gravest_fault_is_named(faults: Faults, expected: Reply | None) -> None:
    assert refusal(faults) is expected


@pytest.mark.parametrize(
    ("full", "expected"), [(True, content.DISK_FULL), (False, content.STORE_DOWN)]
)
def test_a_store_in_trouble_leaves_the_message_with_the_client(full: bool, expected: Reply) -> None:
    assert spool_reply(SpoolError("x", full=full)) is expected


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_empty_lines_of_the_body_end_no_header(size: int) -> None:
    whole = HEADER + b"\r\nbody\r\n\r\nmore\r\n\r\n" * 10
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]

    assert not any(fed(SizeCheck(1000, len(HEADER)), parts))

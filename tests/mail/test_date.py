"""Dates of mail."""

from email.utils import parsedate_to_datetime

from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.date import date_time


def test_date_is_in_the_form_of_rfc_5322_in_utc() -> None:
    assert date_time(1_800_000_000.9) == "Fri, 15 Jan 2027 08:00:00 +0000"


def test_day_of_one_digit_has_no_leading_blank() -> None:
    assert date_time(0) == "Thu, 1 Jan 1970 00:00:00 +0000"


@given(st.integers(0, 4_000_000_000))
def test_date_reads_back_as_the_same_second(second: int) -> None:
    assert parsedate_to_datetime(date_time(second)).timestamp() == second

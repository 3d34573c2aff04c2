"""Tables: aligned, with units, and nothing in them moves the cursor."""

import time

import pytest

from notqmail.cli import table


def test_columns_are_aligned_and_numbers_flush(capsys: pytest.CaptureFixture[str]) -> None:
    table.show(("NAME", "SIZE"), [("a", 5), ("long name", 1000)], right=("SIZE",))

    assert capsys.readouterr().out == "NAME       SIZE\na             5\nlong name  1000\n"


def test_controls_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table.show(("A",), [("\x1b[2Jx\n\u202ey",)])

    assert capsys.readouterr().out == "A\n?[2Jx??y\n"


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KB"),
        (20 << 10, "20 KB"),
        (50 << 20, "50 MB"),
        (3 << 30, "3.0 GB"),
    ],
)
def test_sizes_have_units(octets: int, text: str) -> None:
    assert table.size(octets) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0s"),
        (59, "59s"),
        (60, "1m"),
        (90, "1m 30s"),
        (4 * 3600 + 5, "4h"),
        (7 * 86400 + 3600, "7d 1h"),
    ],
)
def test_spans_have_their_two_largest_units(seconds: float, text: str) -> None:
    assert table.span(seconds) == text


def test_what_is_due_is_now() -> None:
    assert table.until(time.time() - 5) == "now"
    assert table.until(time.time() + 3700) == "in 1h 1m"
    assert table.age(time.time() + 5) == "0s"


def test_moments_are_utc() -> None:
    assert table.moment(0) == "1970-01-01 00:00:00 UTC"

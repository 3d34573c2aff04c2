"""Faults of content."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.smtp.faults import FaultFinder, Faults
from tests.support.splits import cuts, pieces


def find(content: bytes, max_line: int = 1000) -> Faults:
    finder = FaultFinder(max_line)
    finder.look(content)
    finder.measure(content)
    return finder.faults


def test_lines_that_end_in_crlf_have_no_fault() -> None:
    assert find(b"a\r\n\r\nb\r\n") == Faults()


@pytest.mark.parametrize("content", [b"\n", b"a\nb\r\n", b"\r\n\n", b"\n\r\n"])
def test_a_bare_lf_is_found_and_told(content: bytes) -> None:
    finder = FaultFinder(1000)

    assert finder.look(content)
    assert finder.faults == Faults(bare_lf=True)


@pytest.mark.parametrize("content", [b"\r", b"a\rb\r\n", b"\r\r\n"])
def test_a_bare_cr_is_found(content: bytes) -> None:
    finder = FaultFinder(1000)

    assert not finder.look(content)
    assert finder.faults == Faults(bare_cr=True)


def test_a_nul_is_found() -> None:
    assert find(b"a\0\r\n") == Faults(nul=True)


def test_a_fault_stays() -> None:
    finder = FaultFinder(1000)
    for piece in (b"\n", b"\r", b"\0", b"fine\r\n"):
        finder.look(piece)

    assert finder.faults == Faults(bare_lf=True, bare_cr=True, nul=True)


def test_the_limit_counts_the_line_end() -> None:
    assert not find(b"x" * 18 + b"\r\n" + b"y" * 18 + b"\r\n", 20).long_line
    assert find(b"x" * 18 + b"\r\n" + b"y" * 19 + b"\r\n", 20).long_line


def lines_over(content: bytes, limit: int) -> bool:
    """The definition, line by line. What is not yet ended counts once its LF can no longer save it."""
    *ended, unfinished = content.split(b"\n")
    return any(len(line) + 1 > limit for line in ended) or len(unfinished) >= limit


@given(
    st.lists(st.integers(0, 30), max_size=12).map(
        lambda runs: b"\n".join(b"x" * run for run in runs)
    ),
    cuts(300),
    st.integers(2, 25),
)
def test_long_lines_are_found_as_by_looking_at_each_line(
    content: bytes, where: list[int], limit: int
) -> None:
    finder = FaultFinder(limit)
    for piece in pieces(content, where):
        finder.measure(piece)

    assert finder.faults.long_line == lines_over(content, limit)


def test_a_line_is_counted_from_the_line_end_before_it() -> None:
    finder = FaultFinder(10)
    finder.measure(b"\n" + b"x" * 9)
    assert not finder.faults.long_line

    finder = FaultFinder(10)
    for piece in (b"aaaa\nbb\n", b"c" * 9):
        finder.measure(piece)
    assert not finder.faults.long_line


def test_a_line_end_that_begins_a_piece_ends_the_line_of_the_piece_before() -> None:
    finder = FaultFinder(10)

    for piece in (b"aaaa", b"\nbb", b"ccccc"):
        finder.measure(piece)

    assert not finder.faults.long_line

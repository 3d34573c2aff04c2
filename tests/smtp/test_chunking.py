"""Content that came in chunks."""

from hypothesis import given
from hypothesis import strategies as st

from notqmail.smtp.chunking import ChunkChecker
from notqmail.smtp.faults import Faults
from tests.support.splits import cuts, octets, pieces


def check(content: bytes, where: list[int] | None = None, max_line: int = 1000) -> Faults:
    checker = ChunkChecker(max_line)
    for piece in pieces(content, where or []):
        checker.feed(piece)
    return checker.finish()


def test_dots_mean_nothing_in_chunks() -> None:
    assert check(b"a\r\n.\r\n..b\r\n") == Faults()


def test_a_line_end_cut_in_two_is_no_fault() -> None:
    assert check(b"a\r\nb\r\n", [2, 5]) == Faults()


def test_a_bare_cr_at_the_very_end_is_found_at_the_end() -> None:
    checker = ChunkChecker(1000)
    checker.feed(b"a\r")

    assert checker.faults == Faults()
    assert checker.finish() == Faults(bare_cr=True)
    assert checker.faults == Faults(bare_cr=True)


def test_all_faults_are_found() -> None:
    assert check(b"\n\0\r" + b"x" * 1001) == Faults(
        bare_lf=True, bare_cr=True, long_line=True, nul=True
    )


def test_content_that_ends_within_a_line_is_told() -> None:
    checker = ChunkChecker(1000)
    assert checker.line_ended
    for octets_, ended in (
        (b"a\r", False),
        (b"", False),
        (b"\n", True),
        (b"", True),
        (b"\n", False),
    ):
        checker.feed(octets_)
        assert checker.line_ended is ended


@given(octets(b"\r\n.\0aaa", 60), cuts(60), st.integers(2, 12))
def test_any_split_gives_the_same_faults(content: bytes, where: list[int], max_line: int) -> None:
    assert check(content, where, max_line) == check(content, None, max_line)


@given(octets(b"\r\n.\0a", 40))
def test_faults_are_those_of_the_definition(content: bytes) -> None:
    bare = content.replace(b"\r\n", b"")

    assert check(content) == Faults(
        bare_lf=b"\n" in bare, bare_cr=b"\r" in bare, nul=b"\0" in content
    )


def test_only_the_last_two_octets_tell_whether_a_line_has_ended() -> None:
    checker = ChunkChecker(1000)
    for octets_, ended in ((b"abc\r\n", True), (b"abc\n", False), (b"\r\nabc", False)):
        checker.feed(octets_)
        assert checker.line_ended is ended


def test_a_cr_at_the_end_counts_as_one_octet_of_its_line() -> None:
    checker = ChunkChecker(10)
    checker.feed(b"x" * 8 + b"\r")
    for _ in range(3):
        assert not checker.finish().long_line
    assert check(b"x" * 9 + b"\r", max_line=10).long_line

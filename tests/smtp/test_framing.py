"""Command lines out of a stream."""

import tracemalloc

import pytest
from hypothesis import given

from notqmail.smtp.framing import BadEnding, Line, LineReader, TooLong
from tests.support.splits import cuts, octets, pieces

Event = Line | TooLong | BadEnding


def drain(reader: LineReader) -> list[Event]:
    events: list[Event] = []
    while (event := reader.next()) is not None:
        events.append(event)
    return events


def read(stream: bytes, limit: int = 512) -> list[Event]:
    reader = LineReader(limit)
    reader.feed(stream)
    return drain(reader)


def test_pipelined_lines_come_one_by_one() -> None:
    assert read(b"EHLO a\r\n\r\nQUIT\r\n") == [Line(b"EHLO a"), Line(b""), Line(b"QUIT")]


def test_a_line_waits_for_its_end() -> None:
    reader = LineReader(512)
    reader.feed(b"NOOP\r")
    assert reader.next() is None
    reader.feed(b"\n")
    assert reader.next() == Line(b"NOOP")
    assert reader.next() is None


@pytest.mark.parametrize(
    "line", [b"NOOP\n", b"\n", b"RSET\rQUIT\r\n", b"\r\r\n", b"NOOP\r\r\n", b"\rX\n"]
)
def test_a_bare_cr_or_lf_spoils_its_line_alone(line: bytes) -> None:
    assert read(b"A\r\n" + line + b"B\r\n") == [Line(b"A"), BadEnding(), Line(b"B")]


def test_a_line_may_be_as_long_as_the_limit() -> None:
    assert read(b"x" * 14 + b"\r\n", limit=16) == [Line(b"x" * 14)]
    assert read(b"x" * 15 + b"\r\n", limit=16) == [TooLong()]


def test_a_line_too_long_is_told_before_its_end_and_once() -> None:
    reader = LineReader(16)
    reader.feed(b"x" * 16)
    assert drain(reader) == [TooLong()]
    for _ in range(5):
        reader.feed(b"x" * 100)
        assert drain(reader) == []
        assert reader.pending == 0
    reader.feed(b"x\r\nNOOP\r\n")
    assert drain(reader) == [Line(b"NOOP")]


def test_a_line_too_long_ends_at_a_bare_lf_too() -> None:
    assert read(b"x" * 40 + b"\nNOOP\r\n", limit=16) == [TooLong(), Line(b"NOOP")]


@pytest.mark.parametrize("line", [b"bdat 5\n", b"BDAT " + b"0" * 20, b"Bdat 1\r2\r\n", b"BDAT\r\n"])
def test_a_spoiled_line_still_tells_its_verb(line: bytes) -> None:
    (event,) = read(line, limit=16)
    assert event.verb == b"BDAT"


def test_the_limit_may_change_between_lines() -> None:
    reader = LineReader(16)
    reader.feed(b"x" * 10 + b"\r\n" + b"y" * 30 + b"\r\n")
    assert reader.next() == Line(b"x" * 10)
    reader.limit = 64
    assert reader.next() == Line(b"y" * 30)


def test_the_rest_is_what_no_line_has_taken() -> None:
    reader = LineReader(512)
    reader.feed(b"BDAT 5\r\nabc\r")
    assert reader.next() == Line(b"BDAT 5")
    assert reader.pending == 4
    assert reader.take_rest() == b"abc\r"
    assert reader.pending == 0
    reader.feed(b"NOOP\r\n")
    assert reader.next() == Line(b"NOOP")


def test_the_rest_is_whole_after_a_search_that_found_no_line() -> None:
    reader = LineReader(512)
    reader.feed(b"DATA\r\nabc")
    assert drain(reader) == [Line(b"DATA")]
    assert reader.take_rest() == b"abc"


@given(octets(b"A\r\n", 80), cuts(80))
def test_any_split_gives_the_same_events(stream: bytes, where: list[int]) -> None:
    reader = LineReader(8)
    events: list[Event] = []
    for piece in pieces(stream, where):
        reader.feed(piece)
        events += drain(reader)
        assert reader.pending <= reader.limit

    assert events == read(stream, limit=8)


@given(octets(b"A\r\n", 80), cuts(80))
def test_feeding_ahead_of_reading_gives_the_same_events(stream: bytes, where: list[int]) -> None:
    reader = LineReader(8)
    events: list[Event] = []
    for piece in pieces(stream, where):
        reader.feed(piece)
        if event := reader.next():
            events.append(event)

    assert events + drain(reader) == read(stream, limit=8)


@given(octets(b"A\r\n", 80))
def test_no_line_holds_an_end_of_line(stream: bytes) -> None:
    for event in read(stream):
        assert not (isinstance(event, Line) and {0x0A, 0x0D} & set(event.octets))


def test_a_line_that_never_ends_takes_no_memory() -> None:
    reader = LineReader(4096)
    tracemalloc.start()
    for _ in range(1000):
        reader.feed(b"x" * 65536)
        drain(reader)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 1_000_000


def test_after_a_line_too_long_every_line_is_read_again() -> None:
    assert read(b"x" * 600 + b"\r\nA\r\nB\r\nC\r\n") == [
        TooLong(),
        Line(b"A"),
        Line(b"B"),
        Line(b"C"),
    ]


def test_a_line_too_long_may_end_in_what_comes_before_the_next_reading() -> None:
    reader = LineReader(16)
    reader.feed(b"x" * 20)
    assert reader.next() == TooLong()

    reader.feed(b"\r\nA\r\n")

    assert drain(reader) == [Line(b"A")]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"x\n"])
def test_a_line_too_long_may_end_in_what_comes_after_it(end: bytes) -> None:
    reader = LineReader(16)
    reader.feed(b"x" * 20)
    assert drain(reader) == [TooLong()]

    reader.feed(end + b"A\r\n")

    assert drain(reader) == [Line(b"A")]


def test_a_line_too_long_is_not_read_again_from_the_end_of_the_one_before() -> None:
    reader = LineReader(16)
    reader.feed(b"A\r\n" + b"x" * 20)

    assert [reader.next() for _ in range(3)] == [Line(b"A"), TooLong(), None]


def test_an_lf_that_comes_first_spoils_no_line_behind_it() -> None:
    assert read(b"\n" + b"A\r\n" * 6, limit=16) == [BadEnding(), *[Line(b"A")] * 6]

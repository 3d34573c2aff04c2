"""The header as octets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.header import (
    MAX_HEADER,
    Field,
    HeaderEdit,
    HeaderEditor,
    edited,
    edited_size,
    header_end,
    split_header,
)
from tests.support.splits import cuts, octets, pieces

MESSAGE = b"A: 1\r\nB: 2\r\n folded\r\na : 3\r\n\r\nbody\r\n\r\nA: 4\r\n"


def fields(header: bytes) -> list[tuple[str, bytes]]:
    return [(field.name, field.value) for field in split_header(header)]


def prepend(field: bytes) -> HeaderEdit:
    return HeaderEdit("prepend", field)


def append(field: bytes) -> HeaderEdit:
    return HeaderEdit("append", field)


def remove(name: bytes, index: int | None = None) -> HeaderEdit:
    return HeaderEdit("remove", name, index)


def test_the_header_ends_before_the_empty_line() -> None:
    assert MESSAGE[: header_end(MESSAGE)] == b"A: 1\r\nB: 2\r\n folded\r\na : 3\r\n"
    assert header_end(b"\r\nbody") == 0
    assert header_end(b"A: 1\r\n") == 6


def test_fields_have_their_names_as_written_and_unfolded_values() -> None:
    assert fields(MESSAGE) == [("A", b"1"), ("B", b"2 folded"), ("a", b"3")]


def test_a_field_keeps_its_octets() -> None:
    assert [field.raw for field in split_header(b"B: 2\r\n\tx\r\nC:\r\n")] == [
        b"B: 2\r\n\tx\r\n",
        b"C:\r\n",
    ]


def test_a_field_may_be_cut_short() -> None:
    assert fields(b"A: 1\r\nB: 2") == [("A", b"1"), ("B", b"2")]
    assert Field("B", b"B: 2").value == b"2"


@pytest.mark.parametrize(
    "line",
    [b"no colon\r\n", b": x\r\n", b"a b: x\r\n", b"\xc3\xa9: x\r\n", b"\0: x\r\n"],
)
def test_a_line_that_is_no_field_ends_the_header(line: bytes) -> None:
    assert fields(b"A: 1\r\n" + line + b"B: 2\r\n") == [("A", b"1")]
    assert fields(line + b"B: 2\r\n") == []


def test_a_fold_with_nothing_before_it_is_no_field() -> None:
    assert fields(b" A: 1\r\nB: 2\r\n") == []


def test_the_newest_prepended_field_is_first() -> None:
    assert edited([prepend(b"X: 1\r\n"), prepend(b"Y: 2\r\n")], b"A: 1\r\n\r\nb") == (
        b"Y: 2\r\nX: 1\r\nA: 1\r\n\r\nb"
    )


def test_an_appended_field_is_the_last_of_the_header() -> None:
    assert edited([append(b"X: 1\r\n"), append(b"Y: 2\r\n")], b"A: 1\r\n\r\nb") == (
        b"A: 1\r\nX: 1\r\nY: 2\r\n\r\nb"
    )


def test_fields_are_put_into_a_message_without_a_header() -> None:
    assert edited([prepend(b"X: 1\r\n"), append(b"Y: 2\r\n")], b"\r\nb") == b"X: 1\r\nY: 2\r\n\r\nb"


@pytest.mark.parametrize("fold", [b" by evil\r\n", b"\tx\r\n\r\nb", b" "])
def test_a_fold_at_the_start_does_not_go_on_in_our_field(fold: bytes) -> None:
    assert edited([prepend(b"X: 1\r\n")], fold) == b"X: 1\r\n\r\n" + fold
    assert edited([prepend(b"X: 1\r\n"), append(b"Y: 2\r\n")], fold) == (
        b"X: 1\r\nY: 2\r\n\r\n" + fold
    )
    assert edited([remove(b"x")], fold) == fold


def test_fields_are_put_into_a_message_without_anything() -> None:
    assert edited([prepend(b"X: 1\r\n")], b"") == b"X: 1\r\n"
    assert edited([append(b"X: 1\r\n")], b"") == b"X: 1\r\n"
    assert edited([], b"") == b""


def test_an_appended_field_does_not_run_into_a_header_cut_short() -> None:
    assert edited([append(b"X: 1\r\n")], b"A: 1") == b"A: 1\r\nX: 1\r\n"


def test_a_removal_leaves_a_header_cut_short_as_it_is() -> None:
    assert edited([remove(b"b")], b"A: 1") == b"A: 1"


def test_fields_are_removed_by_name_in_any_case() -> None:
    assert edited([remove(b"a")], MESSAGE) == b"B: 2\r\n folded\r\n\r\nbody\r\n\r\nA: 4\r\n"


def test_a_field_is_removed_by_its_occurrence() -> None:
    assert (
        edited([remove(b"a", 1)], MESSAGE) == b"A: 1\r\nB: 2\r\n folded\r\n\r\nbody\r\n\r\nA: 4\r\n"
    )
    assert edited([remove(b"a", 2)], MESSAGE) == MESSAGE


def test_what_follows_a_line_that_is_no_field_is_not_removed() -> None:
    message = b"A: 1\r\nnonsense\r\nA: 2\r\n\r\n"

    assert edited([remove(b"a")], message) == b"nonsense\r\nA: 2\r\n\r\n"


def test_the_size_of_edits_is_an_upper_bound() -> None:
    edits = [prepend(b"X: 1\r\n"), append(b"Y: 2\r\n"), remove(b"a")]

    assert edited_size([]) == 0
    for message in (MESSAGE, b"A: 1", b"", b"\r\n"):
        assert len(edited(edits, message)) <= len(message) + edited_size(edits)


def test_a_prepend_alone_holds_nothing_back() -> None:
    editor = HeaderEditor([prepend(b"X: 1\r\n")])

    assert editor.feed(b"A:") == [b"X: 1\r\n", b"A:"]
    assert editor.feed(b" 1\r\n") == [b" 1\r\n"]
    assert editor.finish() == []


def test_no_edits_pass_everything_on() -> None:
    editor = HeaderEditor([])

    assert editor.feed(b"A: 1") == [b"A: 1"]
    assert editor.finish() == []


def test_a_header_without_end_is_not_held_without_end() -> None:
    editor = HeaderEditor([append(b"X: 1\r\n")])
    first = b"A: 1\r\n" * (MAX_HEADER // 6) + b"B: 2\r\n fold"

    out = (
        b"".join(editor.feed(first)) + b"".join(editor.feed(b"ed\r\n")) + b"".join(editor.finish())
    )

    assert len(first) > MAX_HEADER
    assert out == first.replace(b"B:", b"X: 1\r\nB:") + b"ed\r\n"


def test_one_field_without_end_gets_the_new_one_before_it() -> None:
    message = b"A: " + b"x" * MAX_HEADER

    assert edited([append(b"X: 1\r\n")], message) == b"X: 1\r\n" + message


edits = st.lists(
    st.sampled_from(
        [prepend(b"X: 1\r\n"), append(b"Y: 2\r\n"), remove(b"a"), remove(b"a", 1), remove(b"b", 0)]
    ),
    max_size=4,
)


@given(edits, octets(b"A: \r\n\r\nab", 60), cuts(60))
def test_any_split_gives_the_same_message(
    changes: list[HeaderEdit], content: bytes, where: list[int]
) -> None:
    editor = HeaderEditor(changes)
    out = b"".join(ready for piece in pieces(content, where) for ready in editor.feed(piece))

    assert out + b"".join(editor.finish()) == edited(changes, content)


@given(edits, octets(b"A: \r\n\r\nab", 60))
def test_the_body_is_never_edited(changes: list[HeaderEdit], content: bytes) -> None:
    body = content[header_end(content) :]

    assert edited(changes, content).endswith(body)


@given(octets(b"AB: \t\r\n\0\xff", 60))
def test_the_fields_of_a_header_are_its_octets(header: bytes) -> None:
    raw = b"".join(field.raw for field in split_header(header))

    assert header.startswith(raw)

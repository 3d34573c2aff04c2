"""The structure of a message as octets (RFC 2045, RFC 2046)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.entity import entity, part_spans


def parts(body: bytes, boundary: bytes = b"b") -> list[bytes] | None:
    spans = part_spans(body, boundary)
    return None if spans is None else [body[begin:end] for begin, end in spans]


def test_entity_is_header_separator_and_body() -> None:
    made = entity(b"A: 1\r\nContent-Type: Text/HTML\r\n\r\nbody\r\n")

    assert (made.header, made.separator, made.body) == (
        b"A: 1\r\nContent-Type: Text/HTML\r\n", b"\r\n", b"body\r\n",
    )  # fmt: skip
    assert made.type == b"text/html"
    assert made.encoding == b"7bit"


def test_entity_without_a_header_has_the_default_type() -> None:
    made = entity(b"\r\nbody", b"message/rfc822")

    assert (made.header, made.body, made.type) == (b"", b"body", b"message/rfc822")


def test_entity_without_a_body_is_all_header() -> None:
    made = entity(b"A: 1\r\n")

    assert (made.header, made.separator, made.body) == (b"A: 1\r\n", b"", b"")


def test_encoding_is_read_in_lower_case() -> None:
    assert entity(b"Content-Transfer-Encoding:  Base64 \r\n\r\n").encoding == b"base64"


@pytest.mark.parametrize(
    ("value", "boundary"),
    [
        (b"multipart/mixed; boundary=abc", b"abc"),
        (b'multipart/mixed; charset=x; boundary="a b"', b"a b"),
        (b'multipart/mixed;\r\n\tBOUNDARY = "a\\"b"', b'a"b'),
        (b"multipart/mixed", b""),
        (b"multipart/mixed; xboundary=abc", b""),
        (b'multipart/mixed; boundary="trailing "', b"trailing"),
    ],
)
def test_boundary_is_found(value: bytes, boundary: bytes) -> None:
    assert entity(b"Content-Type: " + value + b"\r\n\r\n").boundary == boundary


@pytest.mark.parametrize("value", [b"", b"text", b"/", b";boundary=x"])
def test_malformed_type_is_none(value: bytes) -> None:
    assert entity(b"Content-Type: " + value + b"\r\n\r\n").type == b""


def test_parts_are_what_stands_between_the_delimiters() -> None:
    body = b"preamble\r\n--b\r\none\r\n--b  \r\n\r\ntwo\r\n\r\n--b--\r\nepilogue\r\n--b\r\n"

    assert parts(body) == [b"one", b"\r\ntwo\r\n"]


def test_empty_parts_are_parts() -> None:
    assert parts(b"--b\r\n--b\r\n\r\n--b--") == [b"", b""]


@pytest.mark.parametrize(
    "body", [b"", b"--b\r\nx", b"--b--", b"x--b\r\n\r\n--b--", b"--bb\r\n\r\n--bb--"]
)
def test_body_that_is_not_closed_or_has_no_part_is_none(body: bytes) -> None:
    assert parts(body) is None


@pytest.mark.parametrize("boundary", [b"", b"x" * 71])
def test_boundary_that_may_not_be_finds_nothing(boundary: bytes) -> None:
    assert parts(b"--" + boundary + b"\r\n\r\n--" + boundary + b"--", boundary) is None


@given(st.lists(st.sampled_from([b"--b", b"--", b"\r\n", b"x", b" ", b"b"]), max_size=20))
def test_spans_are_in_order_and_inside(pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    at = 0
    for begin, end in part_spans(body, b"b") or []:
        assert at <= begin <= end <= len(body)
        at = end


def test_a_header_ends_at_a_line_that_is_no_field() -> None:
    found = entity(b"Subject: a\r\nno field\r\nContent-Type: text/html\r\n\r\nb")

    assert (found.header, found.separator) == (b"Subject: a\r\n", b"")
    assert found.body == b"no field\r\nContent-Type: text/html\r\n\r\nb"
    assert found.type == b"text/plain"

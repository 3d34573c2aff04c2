"""Messages of local programs: their lines, their header, and whom it names."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.address import Address
from notqmail.mail.completion import (
    HeaderReader,
    LineEnds,
    MessageError,
    author,
    complete,
    named_recipients,
)
from notqmail.mail.header import Field, split_header

NOW = 1_700_000_000.0
ALICE = Address("alice", "example.org")


def ends(*pieces: bytes) -> bytes:
    lines = LineEnds()
    return b"".join([*map(lines.feed, pieces), lines.finish()])


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (b"", b""),
        (b"a\nb\n", b"a\r\nb\r\n"),
        (b"a\r\nb\r\n", b"a\r\nb\r\n"),
        (b"a", b"a\r\n"),
        (b"10%\r20%\rdone\n", b"10%\r\n20%\r\ndone\r\n"),
        (b"a\r\r\nb", b"a\r\nb\r\n"),
        (b"a\r", b"a\r\n"),
        (b"\n\n", b"\r\n\r\n"),
        (b"\r", b"\r\n"),
    ],
)
def test_every_line_ends_in_crlf(body: bytes, sent: bytes) -> None:
    assert ends(body) == sent


@given(st.lists(st.text("a\r\n", max_size=5).map(str.encode), max_size=8))
def test_the_cut_makes_no_difference_to_lines(pieces: list[bytes]) -> None:
    sent = ends(*pieces)

    assert sent == ends(b"".join(pieces))
    assert b"\r" not in sent.replace(b"\r\n", b"")
    assert b"\n" not in sent.replace(b"\r\n", b"")
    assert not sent or sent.endswith(b"\r\n")


def header(*pieces: bytes, limit: int = 10_000) -> tuple[list[bytes], bytes]:
    """Give the fields and the rest of a message that came in these pieces."""
    reader = HeaderReader(limit)
    for index, piece in enumerate(pieces):
        if reader.feed(piece):
            return [f.raw for f in reader.fields], reader.rest + b"".join(pieces[index + 1 :])
    reader.finish()
    return [f.raw for f in reader.fields], reader.rest


@pytest.mark.parametrize(
    ("message", "fields", "rest"),
    [
        (b"", [], b""),
        (b"A: b\n\nbody\n", [b"A: b\r\n"], b"body\n"),
        (b"A: b\r\n\r\nbody", [b"A: b\r\n"], b"body"),
        (b"A: b\n c\nD: e\n\n", [b"A: b\r\n c\r\n", b"D: e\r\n"], b""),
        (b"A: b", [b"A: b\r\n"], b""),
        (b"A: b\nno field\n", [b"A: b\r\n"], b"no field\r\n"),
        (b"no field at all", [], b"no field at all\r\n"),
        (b"\nbody", [], b"body"),
        (
            b"From joe@x Mon Jan 1\nA: b\n\n",
            [b"MBOX-Line: From joe@x Mon Jan 1\r\n", b"A: b\r\n"],
            b"",
        ),
        (b"Bcc : x@y\n\n", [b"Bcc : x@y\r\n"], b""),
    ],
)
def test_the_header_is_found(message: bytes, fields: list[bytes], rest: bytes) -> None:
    found, after = header(message)
    assert (found, ends(after)) == (fields, ends(rest))

    found, after = header(*(message[i : i + 1] for i in range(len(message))))
    assert (found, ends(after)) == (fields, ends(rest))


def test_a_header_over_the_limit_is_refused() -> None:
    with pytest.raises(MessageError, match="larger than 100 octets"):
        header(*[b"A: bbbbbbbbbbb\n"] * 10, limit=100)


def test_a_body_over_the_limit_is_none_of_the_headers_business() -> None:
    assert header(b"A: b\n\n" + b"x" * 500, limit=100)[1] == b"x" * 500


@pytest.mark.parametrize("message", [b"Subject: x\rBcc: victim@y\n\n", b"Subject: x\r\r\n\n"])
def test_a_bare_cr_cannot_hide_a_field(message: bytes) -> None:
    with pytest.raises(MessageError, match="Subject has a bare CR"):
        header(message)


def fields(text: str) -> tuple[Field, ...]:
    return tuple(split_header(text.replace("\n", "\r\n").encode()))


def test_what_is_missing_is_added() -> None:
    made = complete(fields("Subject: hi\n"), b"alice@example.org", NOW, "x@mx.example.org")

    assert made == (
        b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
        b"Message-ID: <x@mx.example.org>\r\n"
        b"From: alice@example.org\r\n"
        b"Subject: hi\r\n"
        b"\r\n"
    )


def test_what_is_there_stays_as_written() -> None:
    text = "DATE: today\nmessage-id: <a@b>\nFrOm : me\nX:  y \n"

    assert complete(fields(text), b"", NOW, "") == text.replace("\n", "\r\n").encode() + b"\r\n"


def test_bcc_and_what_belongs_to_others_does_not_leave() -> None:
    text = "Bcc: a@b\nResent-bcc: c@d\nReturn-Path: <e@f>\nContent-Length: 3\nTo: x@y\n"

    assert complete(fields(text), b"", NOW, "").partition(b"From: \r\n")[2] == b"To: x@y\r\n\r\n"


def test_the_header_names_the_recipients_once_each() -> None:
    found = named_recipients(fields("To: a@b, root\nCc: c@d\nBCC: a@B, e@f\nFrom: g@h\n"), "x.y")

    assert [str(a) for a in found.addresses] == ["a@b", "root@x.y", "c@d", "e@f"]


def test_a_resent_message_goes_to_whom_it_is_resent() -> None:
    found = named_recipients(fields("Resent-To: a@b\nTo: c@d\nBcc: e@f\n"), "x.y")

    assert [str(a) for a in found.addresses] == ["a@b"]


def test_what_cannot_be_read_in_the_header_is_told() -> None:
    assert named_recipients(fields("To: a@b\nCc: <c@d\n"), "").unreadable == ("<c@d",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", b"alice@example.org"),
        ("Alice", b'"Alice" <alice@example.org>'),
        ('A "X" \\ B', b'"A \\"X\\" \\\\ B" <alice@example.org>'),
        ("A\r\nBcc: x@y", b'"ABcc: x@y" <alice@example.org>'),
        ("Älice", b"=?UTF-8?B?w4RsaWNl?= <alice@example.org>"),
    ],
)
def test_the_author_is_written_so_that_the_name_stays_a_name(name: str, value: bytes) -> None:
    assert author(name, ALICE) == value


def test_a_long_name_is_several_words() -> None:
    words = author("ä" * 60, ALICE).decode().split()[:-1]

    assert [len(word) <= 75 for word in words] == [True] * 4
    assert "".join(base64.b64decode(word[10:-2]).decode() for word in words) == "ä" * 60


@given(st.text(min_size=1))
def test_no_name_makes_a_long_line_or_a_new_field(name: str) -> None:
    for line in author(name, ALICE).split(b"\r\n")[1:]:
        assert line.startswith(b" ")
        assert len(line) <= 100

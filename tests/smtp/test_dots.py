"""Dot transparency and the end of the data."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notqmail.mail.errors import LocalProtocolError
from notqmail.smtp.dots import DataDecoder, DotEncoder
from notqmail.smtp.faults import Faults
from tests.support.splits import cuts, octets, pieces
from tests.support.vectors import load

END = b"\r\n.\r\n"


def decode(
    stream: bytes, where: list[int] | None = None, *, repair: bool = False
) -> tuple[bytes, DataDecoder]:
    decoder = DataDecoder(1000, repair)
    content = rest = b""
    for piece in pieces(stream, where or []):
        if decoder.done:
            rest += piece
        else:
            content += decoder.feed(piece)
    decoder.rest += rest
    return content, decoder


def encode(content: bytes, where: list[int] | None = None) -> bytes:
    encoder = DotEncoder()
    return (
        b"".join(encoder.feed(piece) for piece in pieces(content, where or [])) + encoder.finish()
    )


def test_data_ends_at_a_dot_alone_on_its_line() -> None:
    content, decoder = decode(b"a\r\nb\r\n.\r\nQUIT\r\n")

    assert content == b"a\r\nb\r\n"
    assert decoder.done
    assert decoder.rest == b"QUIT\r\n"
    assert decoder.faults == Faults()


def test_data_may_end_at_once() -> None:
    content, decoder = decode(b".\r\n")

    assert (content, decoder.done, decoder.rest) == (b"", True, b"")


def test_the_first_of_two_ends_counts() -> None:
    content, decoder = decode(b"a\r\n.\r\n.\r\n")

    assert (content, decoder.rest) == (b"a\r\n", b".\r\n")


def test_a_dot_at_the_start_of_a_line_is_taken_away() -> None:
    content, _ = decode(b"..a\r\n.b\r\n...\r\nc.\r\n.\r\n")

    assert content == b".a\r\nb\r\n..\r\nc.\r\n"


def test_a_long_line_is_a_fault_without_its_transparency_dot() -> None:
    assert not decode(b".." + b"x" * 997 + b"\r\n.\r\n")[1].faults.long_line
    assert decode(b".." + b"x" * 998 + b"\r\n.\r\n")[1].faults.long_line


def test_faults_do_not_stop_the_reading() -> None:
    content, decoder = decode(b"a\nb\rc\0" + b"x" * 2000 + b"\r\nd\r\n.\r\n")

    assert decoder.done
    assert content.endswith(b"x\r\nd\r\n")
    assert decoder.faults == Faults(bare_lf=True, bare_cr=True, long_line=True, nul=True)


def test_feeding_after_the_end_is_a_bug() -> None:
    decoder = DataDecoder(1000)
    decoder.feed(b".\r\n")

    with pytest.raises(LocalProtocolError):
        decoder.feed(b"QUIT\r\n")


def test_repair_makes_a_bare_lf_the_end_of_a_line() -> None:
    content, decoder = decode(b"a\nb\r\n\n..c\n\r\n.\r\n", repair=True)

    assert content == b"a\r\nb\r\n\r\n.c\r\n\r\n"
    assert decoder.faults == Faults()


def test_repair_leaves_a_bare_cr_a_fault() -> None:
    content, decoder = decode(b"a\rb\r\r\n.\r\n", repair=True)

    assert content == b"a\rb\r\r\n"
    assert decoder.faults == Faults(bare_cr=True)


@pytest.mark.parametrize("lookalike", [b"\n.\n", b"\n.\r\n", b"\r\n.\n"])
def test_repair_keeps_a_lone_dot_after_or_before_a_bare_lf_as_content(lookalike: bytes) -> None:
    content, decoder = decode(b"a" + lookalike + b"b\r\n.\r\n", repair=True)

    assert content == b"a\r\n.\r\nb\r\n"
    assert decoder.done
    assert decoder.rest == b""


def test_lookalikes_of_the_end_do_not_end_data_and_are_faults() -> None:
    for case in load("smuggling-end-of-data"):
        lookalike = case["seq"].encode()
        content, decoder = decode(b"a" + lookalike + b"MAIL FROM:<x@y>\r\n.\r\n")

        assert decoder.done, lookalike
        assert decoder.rest == b"", lookalike
        assert content.endswith(b"MAIL FROM:<x@y>\r\n"), lookalike
        # "\r\n." before text is plain dot transparency: nothing is wrong with it
        assert (decoder.faults != Faults()) is (lookalike != b"\r\n."), lookalike


def test_lookalikes_that_were_repaired_are_not_sent_on() -> None:
    for case in load("smuggling-end-of-data"):
        content, decoder = decode(b"a" + case["seq"].encode() + b"b\r\n.\r\n", repair=True)

        assert decoder.done
        if decoder.faults.bare_cr:
            with pytest.raises(LocalProtocolError):
                encode(content)
        else:
            assert encode(content).find(END) == len(encode(content)) - len(END)


def test_the_encoder_refuses_every_lookalike_with_a_bare_cr_or_lf() -> None:
    for case in load("smuggling-end-of-data"):
        content = b"a" + case["seq"].encode() + b"b\r\n"
        if {0x0A, 0x0D} & set(content.replace(b"\r\n", b"")):
            with pytest.raises(LocalProtocolError):
                encode(content)
        else:
            assert encode(content).find(END) == len(encode(content)) - len(END)


streams = octets(b"\r\n.\r\n.a\0", 40)


@given(streams, cuts(45), st.booleans())
@example(b"\r\n.\r\n.\r\n", [1, 2, 3, 4, 5, 6, 7, 8], False)
@example(b"\n.\r\n.\n\r.\r\n", list(range(11)), True)
@settings(max_examples=300)
def test_any_split_gives_the_same_content_faults_and_rest(
    stream: bytes, where: list[int], repair: bool
) -> None:
    split, by_pieces = decode(stream, where, repair=repair)
    whole, at_once = decode(stream, repair=repair)

    assert split == whole
    assert by_pieces.done == at_once.done
    assert by_pieces.rest == at_once.rest
    assert by_pieces.faults == at_once.faults


@given(streams, st.booleans())
@settings(max_examples=300)
def test_only_crlf_dot_crlf_ends_data(stream: bytes, repair: bool) -> None:
    _, decoder = decode(stream, repair=repair)
    at = (b"\r\n" + stream).find(END)

    assert decoder.done == (at >= 0)
    if decoder.done:
        assert decoder.rest == (b"\r\n" + stream)[at + len(END) :]


@given(streams, st.booleans())
def test_at_most_four_octets_are_held_back(stream: bytes, repair: bool) -> None:
    ready, decoder = decode(stream, repair=repair)
    if not decoder.done:
        flushed, _ = decode(stream + b"x", repair=repair)

        assert len(flushed.removesuffix(b"x")) - len(ready) <= 4


def by_lines(data: bytes) -> bytes:
    """RFC 5321 §4.5.2, line by line, for data without faults."""
    return b"\r\n".join(line.removeprefix(b".") for line in data.split(b"\r\n"))


lines_of_data = st.lists(octets(b".a\0", 6).filter(lambda line: line != b"."), max_size=8)


@given(lines_of_data)
def test_decoding_does_what_the_rfc_says_for_each_line(lines: list[bytes]) -> None:
    data = b"".join(line + b"\r\n" for line in lines)

    content, decoder = decode(data + b".\r\n")

    assert content == by_lines(data)
    assert decoder.faults == Faults(nul=b"\0" in data)


@given(lines_of_data, cuts(60), cuts(80), st.booleans())
def test_decoding_what_was_encoded_gives_the_content(
    lines: list[bytes], where: list[int], where_too: list[int], repair: bool
) -> None:
    content = b"".join(line + b"\r\n" for line in lines)

    sent = encode(content, where)
    received, decoder = decode(sent, where_too, repair=repair)

    assert received == content
    assert decoder.done
    assert decoder.rest == b""


@given(streams, cuts(45))
def test_what_is_encoded_ends_once_and_at_its_end(content: bytes, where: list[int]) -> None:
    try:
        sent = encode(content, where)
    except LocalProtocolError:
        assert {0x0A, 0x0D} & set(content.replace(b"\r\n", b""))
    else:
        assert (b"\r\n" + sent).find(END) == len(sent) + 2 - len(END)
        assert not {0x0A, 0x0D} & set(sent.replace(b"\r\n", b""))


@given(streams, cuts(45))
def test_any_split_is_encoded_alike(content: bytes, where: list[int]) -> None:
    try:
        whole = encode(content)
    except LocalProtocolError:
        with pytest.raises(LocalProtocolError):
            encode(content, where)
    else:
        assert encode(content, where) == whole


def test_a_last_line_without_its_end_is_ended() -> None:
    assert encode(b"a") == b"a\r\n.\r\n"
    assert encode(b"") == b".\r\n"
    assert encode(b"\r\n") == b"\r\n.\r\n"


def test_a_dot_at_the_start_of_a_line_is_doubled() -> None:
    assert encode(b".a\r\nb\r\n.\r\n") == b"..a\r\nb\r\n..\r\n.\r\n"


@pytest.mark.parametrize("content", [b"a\nb", b"a\rb", b"a\r", b"\n", b"a\r\r\n"])
def test_a_bare_cr_or_lf_is_not_sent(content: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        encode(content)


def test_nothing_is_left_over_before_the_end() -> None:
    decoder = DataDecoder(1000)
    decoder.feed(b"a\r\n")

    assert decoder.rest == b""


@pytest.mark.parametrize("cut", range(1, 11))
def test_a_repaired_line_end_keeps_its_dot_wherever_it_is_cut(cut: int) -> None:
    content, decoder = decode(b"a\n..b\n.\r\n.\r\n", [cut], repair=True)

    assert (content, decoder.done) == (b"a\r\n.b\r\n.\r\n", True)

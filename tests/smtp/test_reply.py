"""Replies out of a stream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.errors import RemoteProtocolError
from notqmail.mail.reply import Reply
from notqmail.smtp.reply import ReplyParser
from tests.support.splits import cuts, octets, pieces
from tests.support.vectors import load


def parse(
    stream: bytes, where: list[int] | None = None, limit: int = 1000
) -> tuple[list[Reply], str]:
    """Give the replies, and how the dialogue broke if it did."""
    parser = ReplyParser(limit)
    replies: list[Reply] = []
    for piece in pieces(stream, where or []):
        parser.feed(piece)
        try:
            while (reply := parser.next()) is not None:
                replies.append(reply)
        except RemoteProtocolError as error:
            return replies, str(error)
    return replies, ""


def broken(stream: bytes, limit: int = 1000) -> str:
    replies, why = parse(stream, limit=limit)
    assert replies == []
    return why


def test_a_reply_is_code_enhanced_code_and_text() -> None:
    assert parse(b"250 2.1.0 Sender <a@b> ok\r\n") == ([Reply(250, "2.1.0", "Sender <a@b> ok")], "")


def test_lines_of_one_reply_are_joined() -> None:
    stream = b"551-5.7.1 Forwarding is\r\n551 5.7.1 disabled\r\n"

    assert parse(stream) == ([Reply(551, "5.7.1", "Forwarding is\ndisabled")], "")


def test_pipelined_replies_come_one_by_one() -> None:
    replies, _ = parse(b"250 a\r\n550 b\r\n354 c\r\n")

    assert [reply.code for reply in replies] == [250, 550, 354]


@pytest.mark.parametrize("line", [b"220\r\n", b"220 \r\n", b"220 \n"])
def test_a_reply_needs_no_text(line: bytes) -> None:
    assert parse(line) == ([Reply(220, "", "")], "")


def test_controls_of_a_peer_do_not_reach_us() -> None:
    (reply,), _ = parse(b"550 a\x1b[2Jb\rc\x00\xff\r\n")

    assert reply.text == "a?[2Jb?c?\ufffd"


@pytest.mark.parametrize(
    "line",
    [
        b"\r\n",
        b"hello\r\n",
        b"25\r\n",
        b"2500 x\r\n",
        b"250x\r\n",
        b"150 x\r\n",
        b"650 x\r\n",
        b" 250 x\r\n",
    ],
)
def test_a_line_that_is_no_reply_ends_the_dialogue(line: bytes) -> None:
    assert "not an SMTP reply" in broken(line)


def test_what_is_shown_of_a_wrong_line_is_short_and_printable() -> None:
    why = broken(b"\x1b" * 500 + b"\r\n")

    assert len(why) < 400
    assert why.isprintable()


def test_two_codes_in_one_reply_end_the_dialogue() -> None:
    assert "two codes, 250 and 550" in broken(b"250-a\r\n550 b\r\n")


def test_a_line_without_end_is_bounded() -> None:
    assert "1000 octets" in broken(b"250 " + b"x" * 2000)


def test_lines_without_end_are_bounded() -> None:
    assert "1000 octets" in broken(b"250-x\r\n" * 200)


def test_the_bound_is_for_each_reply() -> None:
    replies, why = parse(b"250 x\r\n" * 500)

    assert len(replies) == 500
    assert not why


def test_a_broken_dialogue_stays_broken() -> None:
    parser = ReplyParser()
    parser.feed(b"hello\r\n")
    for octets_ in (b"", b"250 ok\r\n"):
        parser.feed(octets_)
        with pytest.raises(RemoteProtocolError):
            parser.next()


def test_pending_tells_of_octets_not_yet_taken() -> None:
    parser = ReplyParser()
    assert not parser.pending
    parser.feed(b"250-a\r\n")
    assert parser.next() is None
    assert parser.pending
    parser.feed(b"250 b\r\n")
    assert parser.next() == Reply(250, "", "a\nb")
    assert not parser.pending


@given(
    st.integers(200, 599),
    st.lists(
        st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(["", ".1.1", ".7.1"]),
    cuts(300),
)
def test_a_reply_survives_the_wire(
    code: int, text: list[str], subject: str, where: list[int]
) -> None:
    enhanced = f"{code // 100}{subject}" if subject and code // 100 != 3 else ""
    reply = Reply(code, enhanced, "\n".join(f"t{line}" for line in text))

    assert parse(reply.wire, where) == ([reply], "")


@given(octets(b"250 -a\r\n\xff", 60), cuts(60))
def test_any_split_gives_the_same_replies(stream: bytes, where: list[int]) -> None:
    assert parse(stream, where, 20)[0] == parse(stream, None, 20)[0]


def test_replies_of_dovecot() -> None:
    for case in load("dovecot-smtp-reply"):
        replies, why = parse(case["input"].encode())

        assert not why
        (reply,) = replies
        assert f".status = {reply.code}," in case["expect"]
        for line in reply.text.split("\n"):
            # a control is shown as "?" here, as a space there
            assert line.replace("?", " ") in case["expect"]
        if reply.enhanced:
            assert f".enhanced_code = {{ {reply.enhanced.replace('.', ', ')} }}" in case["expect"]
        else:
            assert ".enhanced_code" not in case["expect"]


def test_a_reply_may_be_as_large_as_the_limit_and_so_may_the_next() -> None:
    stream = b"250-" + b"x" * 40 + b"\r\n250 ok\r\n"

    assert len(parse(stream * 3, limit=len(stream))[0]) == 3
    assert "octets" in broken(stream, limit=len(stream) - 1)


@pytest.mark.parametrize("stream", [b"\n", b"\nx", b"250-a\n\nx"])
def test_an_empty_line_is_no_reply(stream: bytes) -> None:
    assert broken(stream) == "not an SMTP reply: ''"


def test_of_a_wrong_line_64_octets_are_shown() -> None:
    assert broken(b"abc" + b"x" * 100 + b"\n") == f"not an SMTP reply: 'abc{'x' * 61}'"

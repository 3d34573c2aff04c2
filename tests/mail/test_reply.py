"""Replies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.reply import Reply


def test_a_reply_is_code_enhanced_code_and_text_on_the_wire() -> None:
    assert Reply(250, "2.1.0", "Sender ok").wire == b"250 2.1.0 Sender ok\r\n"
    assert Reply(220, "", "mx ESMTP").wire == b"220 mx ESMTP\r\n"


def test_the_enhanced_code_stands_on_every_line() -> None:
    assert Reply(550, "5.7.1", "no\nnever").wire == b"550-5.7.1 no\r\n550 5.7.1 never\r\n"


def test_controls_never_reach_the_wire() -> None:
    reply = Reply(550, "5.1.1", "a\r\nQUIT\x00\x7f\x1b\x9b")

    assert reply.text == "a?\nQUIT????"
    assert reply.wire == b"550-5.1.1 a?\r\n550 5.1.1 QUIT????\r\n"


def test_text_beyond_ascii_is_sent_as_utf8() -> None:
    assert Reply(250, "", "ж").wire == "250 ж\r\n".encode()


@given(st.sampled_from(["", "5.1.1"]), st.text(max_size=900), st.integers(1, 40))
def test_no_line_is_longer_than_512_octets_or_cut_within_a_character(
    enhanced: str, text: str, times: int
) -> None:
    wire = Reply(550, enhanced, text * times).wire

    wire.decode()
    for line in wire.split(b"\r\n"):
        assert len(line) + 2 <= 512
        assert b"\n" not in line
        assert b"\r" not in line


def test_replies_that_say_the_same_are_equal_and_can_be_keys() -> None:
    first, second = Reply(250, "", "ok"), Reply(250, "", "ok")

    assert first.wire == second.wire
    assert {first: 1}[second] == 1


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (220, "positive"),
        (354, "positive"),
        (421, "transient"),
        (452, "transient"),
        (550, "permanent"),
    ],
)
def test_the_first_digit_is_the_kind(code: int, kind: str) -> None:
    reply = Reply(code, "", "")

    kinds = {name: getattr(reply, name) for name in ("positive", "transient", "permanent")}
    assert kinds == {name: name == kind for name in kinds}


def test_what_a_peer_said_gives_its_enhanced_code() -> None:
    assert Reply.received(550, "5.1.1 no such user") == Reply(550, "5.1.1", "no such user")
    assert Reply.received(550, "5.1.1 a\n5.1.1 b\nc") == Reply(550, "5.1.1", "a\nb\nc")
    assert Reply.received(250, "2.0.0") == Reply(250, "2.0.0", "")
    assert Reply.received(250, "2.0.0\n2.0.0 ok") == Reply(250, "2.0.0", "\nok")


@pytest.mark.parametrize(
    "text",
    ["", "ok", "5.1.1x no", "4.1.1 no", "5.1 no", "5.1.1234 no", "5.١.1 no", "1.2.3.4 is listed"],
)
def test_what_is_no_enhanced_code_of_this_reply_is_text(text: str) -> None:
    assert Reply.received(550, text) == Reply(550, "", text)


def test_a_reply_is_shown_on_one_line() -> None:
    assert str(Reply(550, "5.7.1", "no\nnever")) == "550 5.7.1 no never"
    assert str(Reply(220, "", "mx")) == "220 mx"

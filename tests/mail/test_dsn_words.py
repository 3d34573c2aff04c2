"""The words of delivery reports."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.address import Address
from notqmail.mail.dsn_words import (
    MAX_REPLY,
    SUBJECT,
    WIDTH,
    Kind,
    advice,
    clean,
    expired,
    opening,
    span,
    status,
    story,
    wrap,
)
from notqmail.mail.envelope import Recipient
from notqmail.mail.outcome import Action, Outcome
from notqmail.mail.reply import Reply

BOB = Recipient(Address.parse("bob@example.net"))


GONE = Reply(550, "5.1.1", "gone")


def outcome(
    action: Action = Action.FAILED,
    reply: Reply = GONE,
    mta: str = "mx.example.net",
    recipient: Recipient = BOB,
) -> Outcome:
    return Outcome(recipient, action, reply, mta)


@pytest.mark.parametrize(
    ("action", "reply", "expected"),
    [
        (Action.FAILED, Reply(550, "5.1.1", ""), "5.1.1"),
        (Action.FAILED, Reply(554, "", ""), "5.0.0"),
        (Action.FAILED, Reply(451, "4.4.1", ""), "5.4.7"),  # given up
        (Action.FAILED, Reply(250, "2.0.0", ""), "5.0.0"),
        (Action.DELAYED, Reply(450, "4.2.2", ""), "4.2.2"),
        (Action.DELAYED, Reply(421, "", ""), "4.0.0"),
        (Action.DELAYED, Reply(550, "5.7.1", ""), "4.7.1"),
        (Action.DELIVERED, Reply(250, "2.1.5", ""), "2.1.5"),
        (Action.RELAYED, Reply(250, "", ""), "2.0.0"),
        (Action.EXPANDED, Reply(250, "", ""), "2.0.0"),
    ],
)
def test_status_is_of_the_class_that_fits_the_action(
    action: Action, reply: Reply, expected: str
) -> None:
    assert status(outcome(action, reply)) == expected


def test_only_a_failure_on_a_transient_reply_has_expired() -> None:
    busy = Reply(450, "4.2.1", "busy")

    assert expired(outcome(Action.FAILED, busy))
    assert not expired(outcome(Action.DELAYED, busy))
    assert not expired(outcome(Action.FAILED))


@pytest.mark.parametrize(
    ("code", "words"),
    [("5.1.1", "no such mailbox"), ("5.1.7", "Check the address"), ("5.0.0", "")],
)
def test_advice_is_of_the_nearest_status(code: str, words: str) -> None:
    assert words in advice(code)


def test_reply_is_cleaned_of_all_that_is_not_text() -> None:
    assert clean("a\r\nBcc: x\0\x1b[0m\tb\u2028c\u202ed") == "a Bcc: x [0m b c d"


def test_reply_is_ascii_where_it_must_be() -> None:
    assert clean("grün 用户") == "gr?n ??"
    assert clean("grün 用户", utf8=True) == "grün 用户"


def test_reply_is_cut_at_its_bound() -> None:
    assert clean("x" * 5000) == "x" * (MAX_REPLY - 1) + "~"
    assert len(clean("ü" * 5000, utf8=True)) == MAX_REPLY


@given(st.text())
def test_cleaned_text_is_one_bounded_line(text: str) -> None:
    for utf8 in (False, True):
        cleaned = clean(text, 100, utf8=utf8)
        assert len(cleaned) <= 100
        assert len(cleaned.splitlines()) <= 1
        assert cleaned.isprintable()
        assert utf8 or cleaned.isascii()


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_a_subject_and_an_opening(kind: Kind) -> None:
    assert SUBJECT[kind]
    assert "{" not in opening(kind, "tomorrow")


def test_story_of_a_refusal_quotes_the_other_server_and_advises() -> None:
    assert story(outcome(), 60) == (
        "<bob@example.net>\n"
        "  mx.example.net said: 550 5.1.1 gone\n"
        "  There is no such mailbox. Check the address for typing errors."
    )


def test_story_of_our_own_refusal_gives_the_status() -> None:
    assert "  gone (#5.1.1)" in story(outcome(mta=""), 60)


def test_story_of_an_expired_recipient_says_how_long_it_was_tried() -> None:
    told = story(outcome(reply=Reply(450, "4.2.1", "busy")), 7 * 86400)

    assert "Given up after 7 days. The last trouble was:" in told


def test_story_names_the_address_the_sender_wrote_to() -> None:
    aliased = Recipient(BOB.address, orcpt="rfc822;sales@example.org")

    assert story(outcome(recipient=aliased), 0).startswith(
        "<bob@example.net> (for sales@example.org)"
    )


def test_story_does_not_repeat_the_same_address() -> None:
    same = Recipient(BOB.address, orcpt="rfc822;bob@example.net")

    assert story(outcome(recipient=same), 0).startswith("<bob@example.net>\n")


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (Action.DELIVERED, "Delivered."),
        (Action.RELAYED, "Handed on to a server that sends no delivery reports."),
        (Action.EXPANDED, "Delivered to a list of recipients."),
    ],
)
def test_story_of_a_success_is_short(action: Action, words: str) -> None:
    assert story(outcome(action, Reply(250, "2.0.0", "ok")), 0) == f"<bob@example.net>\n  {words}"


def test_story_of_a_delay_gives_no_advice() -> None:
    told = story(outcome(Action.DELAYED, Reply(450, "4.2.2", "full")), 0)

    assert told == "<bob@example.net>\n  mx.example.net said: 450 4.2.2 full"


def test_story_without_a_known_status_gives_no_advice() -> None:
    assert story(outcome(reply=Reply(550, "", "no")), 0).endswith("said: 550 no")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (7 * 86400, "7 days"),
        (86400, "1 day"),
        (7200, "2 hours"),
        (90, "2 minutes"),
        (1, "less than a minute"),
    ],
)
def test_spans_are_in_the_unit_a_person_would_use(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_long_lines_are_broken_and_keep_their_indent() -> None:
    lines = wrap("short\n  " + "word " * 40).split("\r\n")

    assert lines[0] == "short"
    assert all(line.startswith("  word") and len(line) <= WIDTH for line in lines[1:])

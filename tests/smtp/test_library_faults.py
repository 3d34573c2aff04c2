"""Faults of aiosmtpd 1.4.6 that this grammar must not have. The numbers are those of the dependency study, section 1."""

import pytest

from notqmail.mail.address import Address
from notqmail.mail.envelope import Notify
from notqmail.mail.reply import Reply
from notqmail.smtp.command import Mail, Rcpt, parse_command
from notqmail.smtp.dots import DataDecoder
from notqmail.smtp.framing import BadEnding, Line, LineReader

OFFERED = frozenset({"SIZE", "DSN", "AUTH", "MT-PRIORITY"})


def parse(line: str) -> object:
    return parse_command(line.encode(), OFFERED)


def test_item_1_encoded_words_in_a_path_are_not_decoded() -> None:
    rcpt = parse("RCPT TO:<=?utf-8?q?a=00b=0d=0ac?=@b>")

    assert rcpt == Rcpt(Address("=?utf-8?q?a=00b=0d=0ac?=", "b"))
    assert isinstance(rcpt, Rcpt)
    assert str(rcpt.address) == "=?utf-8?q?a=00b=0d=0ac?=@b"
    assert parse("RCPT TO:<=?utf-8?q?victim=40evil.example?=@b>") == Rcpt(
        Address("=?utf-8?q?victim=40evil.example?=", "b")
    )


@pytest.mark.parametrize(
    "path",
    [
        "<a(x)@b.c>",
        "<a@b.c",
        '<"a',
        "<a\0@b>",
        "<a @b.c>",
        "< a@b.c>",
        "<a@b.c >",
        "<",
        "<@",
        "<a@[>",
        "<@a:b>",
    ],
)
def test_item_2_no_comment_no_missing_bracket_no_white_space_and_no_crash(path: str) -> None:
    reply = parse(f"RCPT TO:{path}")

    assert isinstance(reply, Reply)
    assert reply.code == 501
    assert "Error" not in reply.text


def test_item_2_a_source_route_is_read_before_it_is_dropped() -> None:
    assert parse("RCPT TO:<@x.example:a@b>") == Rcpt(Address("a", "b"))
    assert isinstance(parse("RCPT TO:<@x_example:a@b>"), Reply)


def test_item_7_a_bare_lf_ends_no_command() -> None:
    reader = LineReader(512)
    reader.feed(b"NOOP\nNOOP\r\n")

    assert [reader.next(), reader.next()] == [BadEnding(), Line(b"NOOP")]


@pytest.mark.parametrize("bare", [b"\n", b"\r"])
def test_item_7_a_bare_cr_or_lf_in_data_does_not_pass_unseen(bare: bytes) -> None:
    decoder = DataDecoder(1000)
    decoder.feed(b"a" + bare + b".\r\nMAIL FROM:<x@y>\r\n.\r\n")

    assert decoder.done
    assert decoder.rest == b""
    assert decoder.faults.bare_lf or decoder.faults.bare_cr


def test_item_9_parameters_of_dsn_keep_their_case() -> None:
    assert parse("MAIL FROM:<a@b> ENVID=AbC+2Bd RET=HDRS")
    mail, rcpt = (
        parse("MAIL FROM:<a@b> ENVID=AbC+2Bd"),
        parse("RCPT TO:<a@b> ORCPT=rfc822;AbC@d NOTIFY=DELAY"),
    )

    assert isinstance(mail, Mail)
    assert mail.envid == "AbC+d"
    assert rcpt == Rcpt(Address("a", "b"), Notify.DELAY, "rfc822;AbC@d")


def test_item_9_auth_is_a_parameter_of_mail_where_auth_is_offered() -> None:
    assert parse("MAIL FROM:<a@b> AUTH=<>") == Mail(Address("a", "b"), auth="<>")


def test_item_9_a_keyword_may_have_a_hyphen() -> None:
    reply = parse("MAIL FROM:<a@b> MT-PRIORITY=3")

    assert isinstance(reply, Reply)
    assert reply.code == 555  # unknown, not malformed


def test_item_14_a_size_in_other_digits_is_a_501() -> None:
    reply = parse("MAIL FROM:<a@b> SIZE=²")

    assert isinstance(reply, Reply)
    assert (reply.code, reply.enhanced) == (501, "5.5.4")


def test_item_17_the_null_sender_is_nobody() -> None:
    assert parse("MAIL FROM:<>") == Mail(None)

"""Command lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.address import Address
from notqmail.mail.envelope import Body, Notify, Ret
from notqmail.mail.reply import Reply
from notqmail.smtp.command import (
    NEEDS_SMTPUTF8,
    Auth,
    Bdat,
    Command,
    Data,
    Expn,
    Hello,
    Help,
    Mail,
    Noop,
    Other,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
    parse_command,
)

ALL = frozenset(
    ["SIZE", "8BITMIME", "BINARYMIME", "SMTPUTF8", "DSN", "REQUIRETLS", "AUTH", "CHUNKING"]
)
A_B = Address("a", "b.example")


def parse(line: str | bytes, offered: frozenset[str] = ALL) -> Command | Reply:
    return parse_command(line.encode() if isinstance(line, str) else line, offered)


def refused(line: str | bytes, offered: frozenset[str] = ALL) -> str:
    reply = parse(line, offered)
    assert isinstance(reply, Reply), reply
    assert reply.enhanced.startswith("5.")
    assert len(reply.wire) <= 512
    assert reply.wire.isascii()
    return f"{reply.code} {reply.enhanced}"


# verbs


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("DATA", Data()),
        ("RSET", Rset()),
        ("NOOP", Noop()),
        ("NOOP anything at all", Noop()),
        ("QUIT", Quit()),
        ('VRFY "Sherlock Holmes"', Vrfy('"Sherlock Holmes"')),
        ("EXPN staff", Expn("staff")),
        ("HELP", Help()),
        ("HELP mail", Help("mail")),
        ("starttls", StartTls()),
        ("AUTH plain AGEAYg==", Auth("PLAIN", "AGEAYg==")),
        ("AUTH scram-sha-256", Auth("SCRAM-SHA-256")),
        ("AUTH EXTERNAL =", Auth("EXTERNAL", "=")),
    ],
)
def test_a_verb_makes_its_command(line: str, command: Command) -> None:
    assert parse(line) == command


def test_verbs_are_read_in_any_case() -> None:
    assert parse("rSeT") == Rset()
    assert parse("xClient Name=X") == Other("XCLIENT", "Name=X")


def test_white_space_before_the_line_end_is_tolerated() -> None:
    assert parse("RSET \t ") == Rset()
    assert parse("QUIT\t") == Quit()
    assert parse("MAIL FROM:<> \t") == Mail(None)


@pytest.mark.parametrize("line", ["DATA now", "RSET x", "QUIT x"])
def test_a_verb_that_takes_no_argument_refuses_one(line: str) -> None:
    assert refused(line) == "501 5.5.4"


@pytest.mark.parametrize("line", ["VRFY", "EXPN ", "EHLO", "HELO ", "LHLO"])
def test_a_verb_that_needs_an_argument_says_so(line: str) -> None:
    assert refused(line) == "501 5.5.4"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" ",
        b" NOOP",
        b"\tNOOP",
        b"B52",
        b"NO-OP",
        b"R\x00ET",
        b"r\xc5\xbfet",
        b"\xff",
        b"X" * 33,
        b"<>",
    ],
)
def test_what_is_no_verb_is_a_500(line: bytes) -> None:
    assert refused(line) == "500 5.5.2"


@pytest.mark.parametrize("octet", [*range(9), *range(10, 32), 127])
def test_a_control_character_is_refused_anywhere(octet: int) -> None:
    assert refused(b"NOOP a" + bytes([octet]) + b"b") == "501 5.5.2"
    assert refused(b"MAIL FROM:<a" + bytes([octet]) + b"@b>") == "501 5.5.2"
    assert refused(b"EHLO a" + bytes([octet]) + b"b") == "501 5.5.2"


def test_a_tab_within_the_line_is_refused() -> None:
    assert refused("MAIL\tFROM:<a@b>") == "500 5.5.2"
    assert refused("MAIL FROM:\t<a@b>") == "501 5.5.2"


def test_a_control_of_latin_1_is_refused() -> None:
    assert refused("NOOP \x85") == "501 5.5.2"


@pytest.mark.parametrize(
    "octets", [b"\xff", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"]
)
def test_octets_that_are_not_utf8_are_refused(octets: bytes) -> None:
    assert refused(b"MAIL FROM:<" + octets + b"@b> SMTPUTF8") == "501 5.5.2"
    assert refused(b"EHLO " + octets) == "501 5.5.2"


# EHLO


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "mx.example.org",
        "MX.Example.ORG",
        "[192.0.2.1]",
        "[IPv6:2001:db8::1]",
        "[IPv6:::ffff:192.0.2.1]",
        "xn--bcher-kva.example",
    ],
)
def test_a_host_name_or_a_literal_is_valid(name: str) -> None:
    assert parse(f"EHLO {name}") == Hello("EHLO", name, True)


@pytest.mark.parametrize(
    "name",
    [
        "192.0.2.1",
        "a_b.example",
        "example.org.",
        "-a",
        "[192.0.2.300]",
        "[192.0.2.1",
        "[fe80::1]",
        "[IPv6:fe80::1%eth0]",
        "2001:db8::1",
        "a b",
        "(x)",
        "bücher.example",
        "xn--0.example",
        "@",
    ],
)
def test_another_name_is_kept_but_not_valid(name: str) -> None:
    assert parse(f"HELO {name}") == Hello("HELO", name, False)


def test_a_second_space_makes_the_name_not_valid() -> None:
    assert parse("EHLO  example.org") == Hello("EHLO", "example.org", False)


def test_a_name_is_cut_and_cleaned() -> None:
    hello = parse("LHLO \u202ea\u200bb" + "x" * 4000)

    assert hello == Hello("LHLO", ("?a?b" + "x" * 4000)[:255], False)


def test_a_name_of_255_octets_is_valid_and_a_longer_one_is_not() -> None:
    longest = ".".join(["d" * 63] * 4)

    assert parse(f"EHLO {longest}") == Hello("EHLO", longest, True)
    assert parse(f"EHLO {longest}d") == Hello("EHLO", longest, False)


# MAIL


def test_mail_has_a_sender() -> None:
    assert parse("MAIL FROM:<a@b.example>") == Mail(A_B)
    assert parse("mail from:<a@B.Example>") == Mail(A_B)


def test_mail_may_have_no_sender() -> None:
    assert parse("MAIL FROM:<>") == Mail(None)


def test_one_space_after_the_colon_is_accepted() -> None:
    assert parse("MAIL FROM: <a@b.example>") == Mail(A_B)
    assert parse("RCPT TO: <a@b.example>") == Rcpt(A_B)
    assert refused("MAIL FROM:  <a@b.example>") == "501 5.1.7"
    assert refused("RCPT TO:  <a@b.example>") == "501 5.1.3"


@pytest.mark.parametrize(
    "line",
    [
        "MAIL",
        "MAIL <a@b>",
        "MAIL TO:<a@b>",
        "MAIL FROM <a@b>",
        "MAIL FROM :<a@b>",
        "MAIL  FROM:<a@b>",
        "RCPT",
        "RCPT FROM:<a@b>",
        "RCPT TO <a@b>",
    ],
)
def test_what_does_not_say_from_or_to_is_refused_with_the_remedy(line: str) -> None:
    assert refused(line) == "501 5.5.2"
    reply = parse(line)
    assert isinstance(reply, Reply)
    assert reply.text.endswith(("use FROM:<user@domain>", "use TO:<user@domain>"))


def test_a_bad_sender_and_a_bad_recipient_have_their_own_codes() -> None:
    assert refused("MAIL FROM:a@b") == "501 5.1.7"
    assert refused("RCPT TO:a@b") == "501 5.1.3"


def test_postmaster_without_domain_is_a_recipient_only() -> None:
    assert parse("RCPT TO:<PostMaster>") == Rcpt(Address("PostMaster", ""))
    assert refused("MAIL FROM:<postmaster>") == "501 5.1.7"


def test_the_null_path_is_a_sender_only() -> None:
    assert refused("RCPT TO:<>") == "501 5.1.3"


def test_all_parameters_of_mail_are_read() -> None:
    line = (
        "MAIL FROM:<ж@b.example> SIZE=12 BODY=8bitmime RET=hdrs ENVID=Ab+2Bc SMTPUTF8 REQUIRETLS"
        " AUTH=u+2Bx@b.example"
    )

    assert parse(line) == Mail(
        Address("ж", "b.example"),
        size=12,
        body=Body.EIGHTBIT,
        ret=Ret.HDRS,
        envid="Ab+c",
        smtputf8=True,
        requiretls=True,
        auth="u+x@b.example",
        utf8=True,
    )


@pytest.mark.parametrize(
    "parameter",
    [
        "SIZE=1",
        "BODY=7BIT",
        "RET=FULL",
        "ENVID=a",
        "SMTPUTF8",
        "REQUIRETLS",
        "AUTH=<>",
        "NOTIFY=NEVER",
        "FROP",
    ],
)
def test_a_parameter_not_offered_is_a_555(parameter: str) -> None:
    assert refused(f"MAIL FROM:<a@b> {parameter}", frozenset()) == "555 5.5.4"


def test_binarymime_must_be_offered_by_itself() -> None:
    offered = frozenset({"8BITMIME", "CHUNKING"})

    assert refused("MAIL FROM:<a@b> BODY=BINARYMIME", offered) == "555 5.5.4"
    assert parse("MAIL FROM:<a@b.example> BODY=BINARYMIME") == Mail(A_B, body=Body.BINARY)


@pytest.mark.parametrize(
    "parameters",
    [
        "SIZE",
        "SIZE=²",
        "SIZE=-1",
        "SIZE=1 SIZE=1",
        "BODY=FROP",
        "RET=HDR",
        "ENVID=++",
        f"ENVID={'a' * 101}",
        "SMTPUTF8=YES",
        "REQUIRETLS=1",
        "AUTH=++",
        "SIZE=1  RET=FULL",
    ],
)
def test_a_wrong_parameter_of_mail_is_a_501(parameters: str) -> None:
    assert refused(f"MAIL FROM:<a@b> {parameters}") == "501 5.5.4"


def test_a_path_and_its_parameters_are_apart() -> None:
    assert refused("MAIL FROM:<a@b>SIZE=1") == "501 5.5.4"
    assert refused("MAIL FROM:<a@b>>") == "501 5.5.4"


@pytest.mark.parametrize(
    "path", ["ж@b.example", "a@bücher.example", '"ж"@b', "@bücher.example:a@b"]
)
def test_a_sender_beyond_ascii_needs_smtputf8(path: str) -> None:
    assert parse(f"MAIL FROM:<{path}>") is NEEDS_SMTPUTF8
    assert parse(f"MAIL FROM:<{path}> SIZE=1") is NEEDS_SMTPUTF8
    mail = parse(f"MAIL FROM:<{path}> SMTPUTF8")
    assert isinstance(mail, Mail)
    assert mail.utf8
    assert mail.smtputf8


def test_smtputf8_must_be_offered() -> None:
    assert refused("MAIL FROM:<ж@b> SMTPUTF8", frozenset()) == "555 5.5.4"
    assert refused("MAIL FROM:<ж@b>", frozenset()) == "553 5.6.7"


# RCPT


def test_all_parameters_of_rcpt_are_read() -> None:
    line = "RCPT TO:<a@b.example> notify=success,FAILURE ORCPT=rfc822;Al+2Bice@Example.org"

    assert parse(line) == Rcpt(
        A_B, notify=Notify.SUCCESS | Notify.FAILURE, orcpt="rfc822;Al+ice@Example.org"
    )


def test_notify_never_is_not_the_same_as_no_notify() -> None:
    never, unasked = parse("RCPT TO:<a@b> NOTIFY=NEVER"), parse("RCPT TO:<a@b>")

    assert isinstance(never, Rcpt)
    assert isinstance(unasked, Rcpt)
    assert never.notify is Notify.NEVER
    assert unasked.notify is None


@pytest.mark.parametrize("parameter", ["NOTIFY=NEVER", "ORCPT=rfc822;a@b"])
def test_a_parameter_of_rcpt_not_offered_is_a_555(parameter: str) -> None:
    assert refused(f"RCPT TO:<a@b> {parameter}", frozenset()) == "555 5.5.4"


def test_a_parameter_of_mail_is_none_of_rcpt() -> None:
    assert refused("RCPT TO:<a@b> SIZE=1") == "555 5.5.4"


@pytest.mark.parametrize(
    "parameters",
    [
        "NOTIFY",
        "NOTIFY=NEVER,DELAY",
        "NOTIFY=DELAY NOTIFY=DELAY",
        "ORCPT=a@b",
        f"ORCPT=rfc822;{'a' * 500}",
        "ORCPT=utf-8;a+2B",
    ],
)
def test_a_wrong_parameter_of_rcpt_is_a_501(parameters: str) -> None:
    assert refused(f"RCPT TO:<a@b> {parameters}") == "501 5.5.4"


@pytest.mark.parametrize(
    ("arguments", "utf8"),
    [
        ("<a@b>", False),
        ("<ж@b>", True),
        ("<a@bücher.example>", True),
        ("<a@b> NOTIFY=NEVER", False),
        ("<ж@b> NOTIFY=NEVER", True),
        (r"<a@b> ORCPT=utf-8;\x{416}@b", False),
        ("<a@b> ORCPT=utf-8;ж@b", True),
    ],
)
def test_a_recipient_beyond_ascii_on_the_wire_is_marked(arguments: str, utf8: bool) -> None:
    rcpt = parse(f"RCPT TO:{arguments}")

    assert isinstance(rcpt, Rcpt)
    assert rcpt.utf8 is utf8


# BDAT


def test_bdat_has_a_size_and_may_be_the_last() -> None:
    assert parse("BDAT 0") == Bdat(0, False)
    assert parse("BDAT 1000 LAST") == Bdat(1000, True)
    assert parse("bdat 1000 last ") == Bdat(1000, True)


@pytest.mark.parametrize(
    "line",
    [
        "BDAT",
        "BDAT LAST",
        "BDAT -1",
        "BDAT +1",
        "BDAT ²",
        "BDAT 1 FIRST",
        "BDAT 1  LAST",
        "BDAT 1 LAST X",
        "BDAT 1 laſt",
        f"BDAT {'1' * 21}",
    ],
)
def test_a_malformed_bdat_is_a_501(line: str) -> None:
    assert refused(line) == "501 5.5.4"


def test_bdat_is_read_whether_or_not_it_is_offered_since_its_octets_follow() -> None:
    assert parse("BDAT 10", frozenset()) == Bdat(10, False)


# robustness


@given(st.binary(max_size=80))
def test_no_octets_do_anything_but_parse_or_be_refused(line: bytes) -> None:
    result = parse(line)

    assert not isinstance(result, Reply) or result.permanent


words = st.sampled_from(
    [
        "MAIL",
        "RCPT",
        "EHLO",
        "BDAT",
        " ",
        "FROM:",
        "TO:",
        "<",
        ">",
        "@",
        "a",
        "ж",
        '"',
        "\\",
        ".",
        "[",
        "]",
        "IPv6:",
        "::1",
        "=",
        "SIZE",
        "ORCPT",
        "utf-8;",
        "\\x{",
        "}",
        ",",
        ":",
        "+2B",
        "1",
        "\t",
        "\u202e",
    ]
)


@given(st.lists(words, max_size=16).map("".join))
def test_no_words_do_anything_but_parse_or_be_refused(line: str) -> None:
    result = parse(line)

    if isinstance(result, Reply):
        assert 500 <= result.code <= 555
        assert len(result.wire) <= 512
        assert result.wire.isascii()
    elif isinstance(result, Mail | Rcpt):
        address = result.sender if isinstance(result, Mail) else result.address
        assert address is None or Address.parse(str(address)) == address


# the words of a refusal


def test_a_verb_may_have_32_letters_and_loses_none() -> None:
    assert parse("X" * 32) == Other("X" * 32, "")
    assert parse("NOOPX") == Other("NOOPX", "")


def test_no_other_white_space_ends_a_verb() -> None:
    assert refused(b"NOOP\x0b") == "500 5.5.2"


@pytest.mark.parametrize(
    ("line", "form"),
    [
        ("MAIL FROM:<> SIZE=x", "SIZE=1048576"),
        ("MAIL FROM:<> BODY=x", "BODY=7BIT or 8BITMIME"),
        ("MAIL FROM:<> RET=x", "RET=FULL or HDRS"),
        ("MAIL FROM:<> ENVID=+", "ENVID=xtext"),
        ("MAIL FROM:<> AUTH=+", "AUTH=user@domain in xtext"),
        ("RCPT TO:<a@b.example> NOTIFY=x", "NOTIFY=NEVER or SUCCESS,FAILURE,DELAY"),
        ("RCPT TO:<a@b.example> ORCPT=x", "ORCPT=rfc822;address in xtext"),
    ],
)
def test_a_wrong_value_is_refused_with_the_form_that_is_right(line: str, form: str) -> None:
    reply = parse(line)

    assert isinstance(reply, Reply)
    assert reply.text == f"{form.partition('=')[0]} is wrong; use {form}"


# AUTH


@pytest.mark.parametrize("line", ["AUTH", "AUTH  PLAIN", "AUTH PL/AIN", f"AUTH {'X' * 21}"])
def test_auth_without_the_name_of_a_mechanism_is_refused(line: str) -> None:
    assert refused(line) == "501 5.5.4"


def test_starttls_takes_no_argument() -> None:
    assert refused("STARTTLS now") == "501 5.5.4"


def test_an_initial_response_is_not_shown() -> None:
    assert "c2VjcmV0" not in repr(parse("AUTH PLAIN c2VjcmV0"))

"""What a server offers, and MAIL and RCPT as it gets them."""

from typing import Any

import pytest

from notqmail.delivery.features import Features, mail_command, objection, rcpt_command
from notqmail.mail.address import Address
from notqmail.mail.envelope import Body, Envelope, Notify, Recipient, Ret
from notqmail.mail.reply import Reply
from notqmail.mail.traits import ASCII, Traits
from notqmail.smtp.extension import parse_ehlo

ALL = Features(eightbit=True, smtputf8=True, dsn=True, takes_size=True)
NONE = Features()
EIGHTBIT = Traits(eightbit=True)
UTF8_HEADER = Traits(eightbit_header=True, eightbit=True)


def envelope(sender: str = "alice@example.org", *recipients: str, **fields: Any) -> Envelope:
    to = tuple(Recipient(Address.parse(r)) for r in recipients)
    return Envelope(Address.parse(sender) if sender else None, to, **fields)


def mail(
    made: Envelope, traits: Traits = ASCII, features: Features = ALL, *, utf8: bool = False
) -> str:
    return mail_command(made, traits, 42, features, smtputf8=utf8).decode()


def rcpt(address: str, features: Features = ALL, *, utf8: bool = False, **fields: Any) -> str:
    return rcpt_command(
        Recipient(Address.parse(address), **fields), features, smtputf8=utf8
    ).decode()


def test_extensions_are_read_from_the_reply_to_ehlo() -> None:
    lines = "peer\nPIPELINING\nSIZE 1000\n8bitmime\nDSN\nSTARTTLS\nLIMITS RCPTMAX=5 MAILMAX=7 RCPTDOMAINMAX=1"

    assert Features.of(parse_ehlo(Reply(250, "", lines))) == Features(
        starttls=True, pipelining=True, eightbit=True, dsn=True, takes_size=True,
        size=1000, recipients=5, domains=1, messages=7,
    )  # fmt: skip


def test_smtputf8_includes_8bitmime() -> None:
    assert Features.of(parse_ehlo(Reply(250, "", "peer\nSMTPUTF8"))).eightbit


@pytest.mark.parametrize("line", ["SIZE", "SIZE 0", "SIZE -5", "SIZE x", "LIMITS RCPTMAX=0"])
def test_limit_that_is_none_does_not_limit(line: str) -> None:
    features = Features.of(parse_ehlo(Reply(250, "", f"peer\n{line}")))

    assert features.size > 1 << 29
    assert features.recipients > 1 << 29


def test_null_sender_is_an_empty_path() -> None:
    assert mail(envelope(""), features=NONE) == "MAIL FROM:<>\r\n"


def test_server_that_offers_nothing_gets_no_parameter() -> None:
    made = envelope(ret=Ret.FULL, envid="x", body=Body.EIGHTBIT)

    assert mail(made, EIGHTBIT, NONE) == "MAIL FROM:<alice@example.org>\r\n"


def test_size_is_told_where_it_is_asked_for() -> None:
    assert "SIZE=42" in mail(envelope())


@pytest.mark.parametrize(
    ("traits", "body", "told"),
    [
        (ASCII, None, False),
        (ASCII, Body.SEVENBIT, False),
        (EIGHTBIT, None, True),
        (ASCII, Body.EIGHTBIT, True),
    ],
)
def test_8bitmime_is_asked_for_when_the_content_or_the_envelope_says_so(
    traits: Traits, body: Body | None, told: bool
) -> None:
    assert ("BODY=8BITMIME" in mail(envelope(body=body), traits)) is told


def test_smtputf8_sender_goes_out_as_utf8() -> None:
    assert mail(envelope("jörg@example.org"), utf8=True).startswith("MAIL FROM:<jörg@example.org> ")


def test_wishes_for_reports_are_passed_on_in_xtext() -> None:
    made = envelope(ret=Ret.HDRS, envid="a+b =c")

    assert mail(made).endswith(" RET=HDRS ENVID=a+2Bb+20+3Dc\r\n")


@pytest.mark.parametrize(
    ("notify", "word"),
    [
        (Notify.NEVER, "NEVER"),
        (Notify.SUCCESS, "SUCCESS"),
        (Notify.SUCCESS | Notify.FAILURE | Notify.DELAY, "SUCCESS,FAILURE,DELAY"),
    ],
)
def test_notify_is_told_in_the_words_of_rfc_3461(notify: Notify, word: str) -> None:
    assert rcpt("bob@example.net", notify=notify) == f"RCPT TO:<bob@example.net> NOTIFY={word}\r\n"


def test_original_recipient_is_passed_on() -> None:
    assert rcpt("bob@example.net", orcpt="rfc822;a+b@x").endswith(" ORCPT=rfc822;a+2Bb@x\r\n")


@pytest.mark.parametrize(("utf8", "word"), [(True, "utf-8;jörg@x"), (False, r"utf-8;j\x{F6}rg@x")])
def test_original_recipient_beyond_ascii_has_a_form_for_either_session(
    utf8: bool, word: str
) -> None:
    assert rcpt("bob@example.net", utf8=utf8, orcpt="utf-8;jörg@x").endswith(f"ORCPT={word}\r\n")


def test_original_recipient_without_a_form_on_the_wire_stays_away() -> None:
    assert rcpt("bob@example.net", orcpt="rfc822;jörg@x") == "RCPT TO:<bob@example.net>\r\n"


def test_server_without_dsn_is_told_no_wishes() -> None:
    assert rcpt("bob@example.net", NONE, notify=Notify.NEVER, orcpt="rfc822;x") == (
        "RCPT TO:<bob@example.net>\r\n"
    )


def refused(made: Envelope, traits: Traits = ASCII, features: Features = NONE) -> list[str]:
    found = [objection(made, traits, recipient, features) for recipient in made.recipients]
    return [reply.enhanced if reply else "" for reply in found]


def test_plain_message_goes_anywhere() -> None:
    assert refused(envelope("a@x.example", "b@x.example")) == [""]


def test_domain_beyond_ascii_needs_nothing_as_it_is_an_a_label() -> None:
    assert refused(envelope("a@bücher.example", "b@bücher.example")) == [""]


def test_declared_header_needs_smtputf8() -> None:
    made = envelope("a@x.example", "b@x.example", smtputf8=True)

    assert refused(made, UTF8_HEADER) == ["5.6.7"]
    assert refused(made, UTF8_HEADER, ALL) == [""]
    assert refused(made, EIGHTBIT, Features(eightbit=True)) == [""]


def test_sender_beyond_ascii_needs_smtputf8_for_every_recipient() -> None:
    assert refused(envelope("jörg@x.example", "b@x.example", "c@x.example")) == ["5.6.7"] * 2


def test_recipient_beyond_ascii_needs_smtputf8_for_itself_alone() -> None:
    assert refused(envelope("a@x.example", "jörg@x.example", "b@x.example")) == ["5.6.7", ""]


def test_message_that_requires_tls_is_not_sent_to_who_cannot_be_verified() -> None:
    assert refused(envelope("a@x.example", "b@x.example", requiretls=True), features=ALL) == [
        "5.7.30"
    ]

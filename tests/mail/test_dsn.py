"""Delivery reports: read back by the standard library, and against the grammar of RFC 3464 §2."""

import re
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from quopri import decodestring
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.address import Address
from notqmail.mail.dsn import MAX_RETURN, Kind, Original, Report, render, typed_address
from notqmail.mail.envelope import Recipient
from notqmail.mail.mime import seven_bit
from notqmail.mail.outcome import Action, Outcome
from notqmail.mail.reply import Reply

AT = 1_800_000_000.0
CONTENT = b"From: alice@example.org\r\nSubject: hi\r\nMessage-ID: <1@example.org>\r\n\r\nhello\r\n"
UTF8 = "Subject: grüße\r\n\r\nhallo, Jörg\r\n".encode()
ALICE, BOB = Address.parse("alice@example.org"), Address.parse("bob@example.net")
JOERG = Address.parse("jörg@bücher.example")
GONE = Outcome(Recipient(BOB), Action.FAILED, Reply(550, "5.1.1", "gone"), "mx.example.net", AT)


def report(*outcomes: Outcome, original: bytes = CONTENT, **changes: Any) -> Report:
    facts: dict[str, Any] = {
        "kind": Kind.FAILURE,
        "id": "R1",
        "hostname": "mx.example.org",
        "to": ALICE,
        "outcomes": outcomes or (GONE,),
        "original": Original(original, complete=True),
        "original_id": "M1",
        "born": AT - 3600,
        "at": AT,
    }
    return Report(**{**facts, **changes})


def parsed(what: Report) -> EmailMessage:
    message = message_from_bytes(render(what), policy=policy.SMTPUTF8)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def parts(what: Report) -> Sequence[EmailMessage]:
    return list(parsed(what).iter_parts())  # type: ignore[arg-type]


DECODE: dict[bytes, Callable[[bytes], bytes]] = {
    b"": bytes,
    b"8bit": bytes,
    b"base64": b64decode,
    b"quoted-printable": decodestring,
}


def raw_parts(what: Report) -> list[bytes]:
    """The decoded content of each part, by the boundary alone: nothing in it is parsed any further."""
    head, _, body = render(what).partition(b"\r\n\r\n")
    boundary = re.search(rb'boundary="([^"]+)"', head)
    assert boundary is not None
    _, *found, last = (b"\r\n" + body).split(b"\r\n--" + boundary[1])
    assert last == b"--\r\n"
    decoded = []
    for each in found:
        part_head, _, content = each.partition(b"\r\n\r\n")
        encoding = re.search(rb"Content-Transfer-Encoding: (.*)", part_head)
        decoded.append(DECODE[encoding[1].strip() if encoding else b""](content))
    return decoded


def groups(what: Report) -> list[dict[str, str]]:
    """The fields of the second part: per message, then per recipient."""
    text = raw_parts(what)[1].decode()
    return [
        dict(line.split(": ", 1) for line in group.replace("\r\n ", " ").strip().split("\r\n"))
        for group in text.split("\r\n\r\n")
        if group.strip()
    ]


# -- the message ------------------------------------------------------------------------------------------------


def test_header_says_who_writes_to_whom_and_that_a_machine_does() -> None:
    message = parsed(report())

    assert message["From"] == "Mail Delivery System <MAILER-DAEMON@mx.example.org>"
    assert message["To"] == "alice@example.org"
    assert message["Date"] == "Fri, 15 Jan 2027 08:00:00 +0000"
    assert message["Message-ID"] == "<R1@mx.example.org>"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["References"] == "<1@example.org>"
    assert message["MIME-Version"] == "1.0"


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        (Kind.FAILURE, "Undelivered"),
        (Kind.DELAY, "Delayed"),
        (Kind.SUCCESS, "Delivery report"),
        (Kind.DOUBLE, "Double bounce"),
    ],
)
def test_subject_tells_the_kind(kind: Kind, subject: str) -> None:
    assert parsed(report(kind=kind))["Subject"].startswith(subject)


def test_report_is_a_multipart_report_of_three_parts() -> None:
    message = parsed(report())

    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert [part.get_content_type() for part in message.iter_parts()] == [
        "text/plain",
        "message/delivery-status",
        "message/rfc822",
    ]


def test_first_part_tells_a_person_what_happened() -> None:
    text = parts(report())[0].get_content()

    assert "could not be delivered" in text
    assert "mx.example.net said: 550 5.1.1 gone" in text
    assert "notqmail why M1" in text


def test_delay_says_until_when_it_is_tried() -> None:
    delayed = replace(GONE, action=Action.DELAYED, reply=Reply(450, "4.2.1", "busy"))
    what = report(delayed, kind=Kind.DELAY, until=AT + 86400)

    text = parts(what)[0].get_content()
    assert "keeps trying until Sat, 16 Jan 2027" in text.replace("\n", " ")
    assert groups(what)[1]["Will-Retry-Until"] == "Sat, 16 Jan 2027 08:00:00 +0000"


@pytest.mark.parametrize("value", [b"no brackets", b"<a b@c>", b"<x@y> <z@w>", b"<\xff@x>"])
def test_message_id_of_the_original_is_repeated_only_if_it_is_one(value: bytes) -> None:
    what = report(original=b"Message-ID: %b\r\n\r\n" % value)

    assert parsed(what)["References"] is None


# -- the fields (RFC 3464 §2) -----------------------------------------------------------------------------------


def test_fields_of_the_message() -> None:
    assert groups(report(envid="QQ314159"))[0] == {
        "Original-Envelope-Id": "QQ314159",
        "Reporting-MTA": "dns; mx.example.org",
        "Arrival-Date": "Fri, 15 Jan 2027 07:00:00 +0000",
    }


def test_fields_of_a_recipient() -> None:
    aliased = replace(GONE, recipient=Recipient(BOB, orcpt="rfc822;sales@example.org"))

    assert groups(report(aliased))[1] == {
        "Original-Recipient": "rfc822; sales@example.org",
        "Final-Recipient": "rfc822; bob@example.net",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx.example.net",
        "Diagnostic-Code": "smtp; 550 5.1.1 gone",
        "Last-Attempt-Date": "Fri, 15 Jan 2027 08:00:00 +0000",
        "Final-Log-ID": "M1",
    }


def test_what_nobody_said_is_not_put_into_an_smtp_servers_mouth() -> None:
    fields = groups(report(replace(GONE, remote_mta="", at=0.0)))[1]

    assert fields["Diagnostic-Code"] == "X-notqmail; 550 5.1.1 gone"
    assert "Remote-MTA" not in fields
    assert "Last-Attempt-Date" not in fields


def test_given_up_recipient_has_status_5_4_7_and_the_last_reply() -> None:
    fields = groups(report(replace(GONE, reply=Reply(450, "4.7.1", "greylisted"))))[1]

    assert fields["Status"] == "5.4.7"
    assert fields["Diagnostic-Code"] == "smtp; 450 4.7.1 greylisted"


def test_each_recipient_has_a_group() -> None:
    many = [replace(GONE, recipient=Recipient(Address(f"u{n}", "example.net"))) for n in range(9)]

    found = groups(report(*many))

    assert [g["Final-Recipient"] for g in found[1:]] == [
        f"rfc822; u{n}@example.net" for n in range(9)
    ]


@pytest.mark.parametrize("orcpt", ["no type", ";x", "rfc822;", "rf c;x", "rfc822; \r\n"])
def test_orcpt_that_is_none_is_left_out(orcpt: str) -> None:
    odd = replace(GONE, recipient=Recipient(BOB, orcpt=orcpt))

    assert "Original-Recipient" not in groups(report(odd))[1]


GRAMMAR = {
    "Original-Envelope-Id": r"[ -~]+",
    "Reporting-MTA": r"dns; [A-Za-z0-9.-]+",
    "Arrival-Date": (DATE := r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d+ \w{3} \d{4} [\d:]{8} \+0000"),
    "Original-Recipient": r"[A-Za-z0-9-]+; [ -~]+",
    "Final-Recipient": r"(?:rfc822|utf-8); [ -~]+",
    "Action": r"failed|delayed|delivered|relayed|expanded",
    "Status": r"[245]\.\d{1,3}\.\d{1,3}",
    "Remote-MTA": r"dns; [ -~]+",
    "Diagnostic-Code": r"(?:smtp|X-notqmail); [ -~]+",
    "Last-Attempt-Date": DATE,
    "Final-Log-ID": r"[ -~]+",
    "Will-Retry-Until": DATE,
}
REQUIRED = {"Final-Recipient", "Action", "Status"}

hostile = st.text(max_size=1200) | st.text("\r\n\t \0:;<>aÜ\u2028\u202e", max_size=80)
outcomes = st.builds(
    Outcome,
    st.builds(
        Recipient,
        st.sampled_from([BOB, JOERG, Address('a"b c', "example.net")]),
        orcpt=st.none() | hostile,
    ),
    st.sampled_from(Action),
    st.builds(Reply, st.integers(200, 599), st.sampled_from(["", "5.1.1", "4.4.1"]), hostile),
    hostile,
    st.floats(0, 4e9),
)


@given(
    told=st.lists(outcomes, min_size=1, max_size=3),
    envid=st.none() | hostile,
    original=st.binary(max_size=300) | hostile.map(lambda text: text.encode("utf-8", "replace")),
    kind=st.sampled_from(Kind),
)
def test_whatever_a_peer_says_the_report_stays_within_its_grammar(
    told: list[Outcome], envid: str | None, original: bytes, kind: Kind
) -> None:
    what = report(*told, envid=envid or None, original=original, kind=kind, until=AT)

    octets = render(what)

    assert seven_bit(octets)
    found = groups(what)
    assert len(found) == 1 + len(told)
    assert all(group.keys() >= REQUIRED for group in found[1:])
    for group in found:
        for name, value in group.items():
            assert re.fullmatch(GRAMMAR[name], value), (name, value)
    parsed(what)


# -- RFC 6533 ---------------------------------------------------------------------------------------------------


def test_typed_address_has_a_seven_bit_and_an_eight_bit_form() -> None:
    assert typed_address(BOB) == "rfc822;bob@example.net"
    assert typed_address(JOERG) == r"utf-8;j\x{F6}rg@xn--bcher-kva.example"
    assert typed_address(JOERG, utf8=True) == "utf-8;jörg@bücher.example"
    assert typed_address(Address("ü+a=b\\", "example.net")).startswith(r"utf-8;")
    assert r"\x{FC}\x{2B}a\x{3D}b" in typed_address(Address("ü+a=b\\", "example.net"))


def test_non_ascii_recipient_of_an_ascii_report_is_in_the_seven_bit_form() -> None:
    failed = replace(GONE, recipient=Recipient(JOERG, orcpt="utf-8;büro@example.org"))

    fields = groups(report(failed))[1]

    assert fields["Original-Recipient"] == r"utf-8; b\x{FC}ro@example.org"
    assert fields["Final-Recipient"] == r"utf-8; j\x{F6}rg@xn--bcher-kva.example"


def test_report_of_an_smtputf8_message_is_in_the_global_form_and_still_seven_bit() -> None:
    what = report(replace(GONE, recipient=Recipient(JOERG)), original=UTF8, utf8=True)

    octets, message = render(what), parsed(what)

    assert seven_bit(octets)
    assert not what.smtputf8
    assert message.get_param("report-type") == "global-delivery-status"
    assert [part.get_content_type() for part in message.iter_parts()] == [
        "text/plain",
        "message/global-delivery-status",
        "message/global",
    ]
    assert groups(what)[1]["Final-Recipient"] == "utf-8; jörg@bücher.example"
    assert raw_parts(what)[2] == UTF8


def test_report_to_a_non_ascii_address_is_utf_8_itself() -> None:
    what = report(to=JOERG, original=UTF8)

    octets = render(what)

    assert what.smtputf8
    assert what.global_form
    assert "To: <jörg@bücher.example>\r\n".encode() in octets
    assert b"Content-Transfer-Encoding: 8bit\r\n\r\n" + UTF8 in octets


def test_global_report_may_return_the_header_alone() -> None:
    what = report(utf8=True, original=UTF8)
    what = replace(what, original=Original(UTF8))

    assert parts(what)[2].get_content_type() == "message/global-headers"
    assert raw_parts(what)[2] == "Subject: grüße\r\n".encode()


# -- what is returned -------------------------------------------------------------------------------------------


def test_whole_message_is_returned_as_it_is() -> None:
    assert CONTENT in render(report())


def test_header_alone_is_returned_when_the_message_is_not_to_be_returned_whole() -> None:
    what = report(original=CONTENT)
    what = replace(what, original=Original(CONTENT))

    assert parts(what)[2].get_content_type() == "text/rfc822-headers"
    assert raw_parts(what)[2] == CONTENT[: CONTENT.index(b"\r\n\r\n") + 2]
    assert "header of the message" in parts(what)[0].get_content()


@pytest.mark.parametrize(
    "body",
    [
        "grün\r\n".encode(),
        b"x" * 2000 + b"\r\n",
        b"bare\nLF\r\n",
        b"N\0L\r\n",
    ],
)
def test_message_that_could_not_travel_unchanged_returns_its_header(body: bytes) -> None:
    # RFC 2046 §5.2.1 lets nobody encode a message/rfc822
    what = report(original=b"Subject: hi\r\n\r\n" + body)

    assert parts(what)[2].get_content_type() == "text/rfc822-headers"
    assert raw_parts(what)[2] == b"Subject: hi\r\n"


def test_eight_bit_header_is_encoded() -> None:
    what = report(original=b"Subject: gr\xfcn\r\n\r\n")

    assert seven_bit(render(what))
    assert raw_parts(what)[2] == b"Subject: gr\xfcn\r\n"


def test_header_cut_by_the_bound_ends_at_a_line() -> None:
    head = (b"X-Line: " + b"x" * 60 + b"\r\n") * 1000

    original = Original(head[:MAX_RETURN])

    assert original.header.endswith(b"\r\n")
    assert head.startswith(original.header)
    assert len(original.header) > MAX_RETURN - 80


def test_message_without_a_header_returns_none() -> None:
    assert Original(b"\r\nbody").header == b""
    assert Original(b"").header == b""


def test_boundary_that_the_original_contains_is_not_used() -> None:
    what = report(original=b"Subject: x\r\n\r\n--=_R1--\r\n--=_R1\r\n")

    assert len(parts(what)) == 3
    assert b'boundary="=_R1_"' in render(what)

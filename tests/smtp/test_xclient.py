"""XCLIENT: what a proxy may say, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.reply import Reply
from notqmail.smtp.command import Other, parse_command
from notqmail.smtp.xclient import ATTRIBUTES, Xclient

OFFERED = frozenset({"XCLIENT"})


def said(argument: str) -> Xclient:
    command = parse_command(f"XCLIENT {argument}".encode(), OFFERED)
    assert isinstance(command, Xclient), command
    return command


def refusal(argument: str) -> str:
    reply = parse_command(f"XCLIENT {argument}".encode(), OFFERED)
    assert isinstance(reply, Reply), reply
    assert (reply.code, reply.enhanced) == (501, "5.5.4")
    return reply.text


def test_all_that_can_be_said_is_understood() -> None:
    assert said(
        "NAME=MX.example.net. ADDR=192.0.2.1 PORT=40000 PROTO=ESMTP HELO=[192.0.2.1]"
        " LOGIN=alice@example.org DESTADDR=IPV6:2001:DB8::2 DESTPORT=587"
    ) == Xclient(
        name="mx.example.net",
        address="192.0.2.1",
        port=40000,
        proto="ESMTP",
        helo="[192.0.2.1]",
        login="alice@example.org",
        local_address="2001:db8::2",
        local_port=587,
    )


def test_the_ehlo_line_names_what_is_understood() -> None:
    for attribute in ATTRIBUTES.split():
        assert said(f"{attribute}=[UNAVAILABLE]") != Xclient()


@pytest.mark.parametrize(
    ("argument", "meaning"),
    [
        ("ADDR=IPV6:2001:db8::1", Xclient(address="2001:db8::1")),
        ("addr=ipv6:2001:DB8:0::1", Xclient(address="2001:db8::1")),
        ("ADDR=IPV6:::ffff:192.0.2.1", Xclient(address="192.0.2.1")),
        ("ADDR=[UNAVAILABLE]", Xclient(address="")),
        ("NAME=[tempunavail] PORT=[Unavailable]", Xclient(name="", port=0)),
        ("LOGIN=[UNAVAILABLE]", Xclient(login="")),
        ("LOGIN=+5BUNAVAILABLE+5D", Xclient(login="")),
        ("LOGIN=alice+2Btag@example.org", Xclient(login="alice+tag@example.org")),
        ("LOGIN=a+20b", Xclient(login="a b")),
        ("LOGIN=+D0+B4+D0+B8+D0+BC+D0+B0", Xclient(login="дима")),
        ("NAME=_srv.a_b.example", Xclient(name="_srv.a_b.example")),
        ("NAME=MX", Xclient(name="mx")),
        (f"HELO={'a' * 255}", Xclient(helo="a" * 255)),
        ("PROTO=smtp", Xclient(proto="SMTP")),
        ("PORT=0 DESTPORT=65535", Xclient(port=0, local_port=65535)),
    ],
)
def test_a_value_has_its_forms(argument: str, meaning: Xclient) -> None:
    assert said(argument) == meaning


@pytest.mark.parametrize(
    "argument",
    [
        *("ADDR=2001:db8::1", "ADDR=IPV6:192.0.2.1", "ADDR=IPV6:fe80::1%eth0", "ADDR=192.0.2.256"),
        *("ADDR=mx.example.net", "DESTADDR=IPV6:", "PORT=65536", "PORT=-1", "PORT=1e3"),
        *("PORT=000000", "PORT=+D9+A3", "PROTO=LMTP", "NAME=a..b/c", "NAME=-", "NAME=a+20b"),
        f"NAME={'a' * 256}",
        *(f"LOGIN={'a' * 256}", f"HELO={'a' * 256}"),
        *("LOGIN=a+0D+0Ab", "LOGIN=a+00", "LOGIN=+FF", "LOGIN=+zz", "LOGIN=a+E2+80+AE", "LOGIN=a=b"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused(argument: str) -> None:
    assert refusal(argument) == f"{argument.partition('=')[0]} has a wrong value"


@pytest.mark.parametrize(
    "argument",
    ["", "NAME", "NAME=", "=x", "X=1", "NAME=a  ADDR=192.0.2.1", "NAME=\xfc", "NAME:a", " NAME=a"],
)
def test_what_is_no_attribute_is_refused(argument: str) -> None:
    assert refusal(argument) == f"use XCLIENT attribute=value with {ATTRIBUTES}"


def test_nothing_is_said_twice() -> None:
    assert refusal("NAME=a name=b") == "NAME stands twice"


def test_who_is_not_offered_it_hears_of_no_such_verb() -> None:
    assert parse_command(b"XCLIENT ADDR=192.0.2.1", frozenset()) == Other(
        "XCLIENT", "ADDR=192.0.2.1"
    )


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x17F), max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    found = parse_command(b"XCLIENT " + text.encode(), OFFERED)

    assert isinstance(found, Xclient | Reply)

"""The Received field."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.mail.address import Address
from notqmail.mail.received import (
    WIDTH,
    address_literal,
    clean_name,
    injected_field,
    received_field,
)

AT = 1_800_000_000.0
BOB = Address.parse("bob@example.org")


def field(**changes: Any) -> str:
    facts: dict[str, Any] = {
        "helo": "client.example.net",
        "address": "192.0.2.1",
        "rdns": "client.example.net",
        "hostname": "mx.example.org",
        "protocol": "ESMTP",
        "id": "DD4X40000049JV",
        "at": AT,
    }
    return received_field(**{**facts, **changes}).decode()


def unfolded(**changes: Any) -> str:
    return re.sub(r"\r\n[ \t]", " ", field(**changes)).removesuffix("\r\n")


def test_field_has_the_clauses_of_rfc_5321_in_order() -> None:
    assert unfolded(recipient=BOB) == (
        "Received: from client.example.net (client.example.net [192.0.2.1]) by mx.example.org (notqmail) "
        "with ESMTP id DD4X40000049JV for <bob@example.org>; Fri, 15 Jan 2027 08:00:00 +0000"
    )


def test_for_stands_only_where_a_single_recipient_is_given() -> None:
    assert " for " not in unfolded()


def test_peer_without_a_reverse_name_is_its_address() -> None:
    assert "from client.example.net ([192.0.2.1]) by" in unfolded(rdns="")


def test_greeting_that_is_missing_is_unknown() -> None:
    assert "from unknown (" in unfolded(helo="")


def test_tls_cipher_has_a_clause_of_its_own() -> None:
    text = unfolded(tls="TLS_AES_256_GCM_SHA384", protocol="ESMTPS", recipient=BOB)

    assert "for <bob@example.org> tls TLS_AES_256_GCM_SHA384; " in text


def test_the_version_of_tls_stands_beside_the_cipher() -> None:
    assert "tls X (TLSv1.3); " in unfolded(tls="X", tls_version="TLSv1.3")
    assert "tls X (T---3); " in unfolded(tls="X", tls_version="T;) 3")


def test_who_is_hidden_leaves_no_address_and_no_name() -> None:
    text = unfolded(address="", helo="laptop.home", rdns="dsl.example.net", protocol="ESMTPSA")

    assert text.startswith("Received: by ")
    assert "with ESMTPSA id" in text
    assert "laptop" not in text
    assert "dsl" not in text


def test_tls_text_cannot_end_the_field() -> None:
    assert "tls a-b----c; " in unfolded(tls="a;b\r\n (c")


def test_utf_8_recipient_stands_as_it_is() -> None:
    text = unfolded(protocol="UTF8SMTP", recipient=Address.parse("jörg@bücher.example"))

    assert "with UTF8SMTP id DD4X40000049JV for <jörg@xn--bcher-kva.example>;" in text


@pytest.mark.parametrize(
    ("address", "literal"),
    [
        ("192.0.2.1", "[192.0.2.1]"),
        ("2001:db8::1", "[IPv6:2001:db8::1]"),
        ("::ffff:192.0.2.1", "[192.0.2.1]"),
        ("::ffff:c000:201", "[192.0.2.1]"),
        ("fe80::1%eth0", "[IPv6:fe80::1]"),
    ],
)
def test_address_is_written_as_a_literal(address: str, literal: str) -> None:
    assert address_literal(address) == literal


def test_name_is_reduced_to_the_characters_of_a_domain() -> None:
    assert clean_name("evil) by ours;\r\nX: [1.2]") == "evil??by?ours???X:?[1.2]"


def test_local_injection_names_the_user() -> None:
    text = injected_field(hostname="mx.example.org", user="joe", id="X1", at=AT, recipient=BOB)

    assert text == (
        b"Received: by mx.example.org (notqmail, from user joe) id X1\r\n"
        b"\tfor <bob@example.org>; Fri, 15 Jan 2027 08:00:00 +0000\r\n"
    )


def test_message_of_our_own_names_nobody() -> None:
    text = injected_field(hostname="mx.example.org", user="", id="X1", at=AT)

    assert text.startswith(b"Received: by mx.example.org (notqmail) id X1; Fri,")


@given(
    helo=st.text(max_size=300),
    rdns=st.text(max_size=300),
    tls=st.text(max_size=100),
    address=st.sampled_from(["192.0.2.1", "2001:db8:1:2:3:4:5:6"]),
)
def test_whatever_a_peer_says_of_itself_stays_one_field_of_sound_lines(
    helo: str, rdns: str, tls: str, address: str
) -> None:
    octets = received_field(
        helo=helo,
        address=address,
        rdns=rdns,
        hostname="mx.example.org",
        protocol="ESMTP",
        id="X1",
        at=AT,
        recipient=BOB,
        tls=tls,
    )

    first, *folds = octets.removesuffix(b"\r\n").split(b"\r\n")
    assert first.startswith(b"Received: from")
    assert all(line.startswith(b"\t") for line in folds)
    assert octets.count(b"\n") == octets.count(b"\r") == len(folds) + 1
    assert octets.isascii()
    assert octets.count(b";") == 1
    assert octets.count(b"(") == octets.count(b")") == 2
    # only a token that is longer than a line makes a line longer
    assert all(len(line) <= WIDTH or len(line.split()) == 1 for line in (first, *folds)) or (
        len(max(helo, rdns, key=len)) > 50
    )

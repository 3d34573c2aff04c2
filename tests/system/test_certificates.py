"""Certificates as values: names, the choice among several."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from hypothesis import given
from hypothesis import strategies as st

from notqmail.config import Certificate
from notqmail.system.certificates import (
    Pair,
    choose,
    client_names,
    covering,
    default,
    dns_name,
    key_type,
    names_of,
    pairs_in,
    weakness,
)
from tests.support.tls import DAY, SHA1, Authority

AUTHORITY = Authority()
UTF8_MAILBOX = ObjectIdentifier("1.3.6.1.5.5.7.8.9")


def pair(*names: str, key_type: str = "ECDSA", **keys: timedelta) -> Pair:
    leaf = AUTHORITY.issue(names, key_type, **keys).leaf
    source = Certificate(chain="", key="")
    path = Path()
    return Pair(source, path, path, b"", b"", leaf, names, key_type, (None, None))


def now() -> datetime:
    return datetime.now(UTC)


def test_names_are_those_of_the_alternative_names() -> None:
    names = ["MX.example.org", "*.Example.org", "xn--bcher-kva.example", "mx.example.org"]
    leaf = AUTHORITY.issue([*names, "192.0.2.1"], common_name="other.example").leaf

    assert names_of(leaf) == ("mx.example.org", "*.example.org", "xn--bcher-kva.example")


def test_the_common_name_counts_only_without_alternative_names() -> None:
    assert names_of(AUTHORITY.issue([], common_name="MX.example.org").leaf) == ("mx.example.org",)
    assert names_of(AUTHORITY.issue(["192.0.2.1"], common_name="mx.example.org").leaf) == ()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("mx.example.org.", "mx.example.org"),
        ("*.example.org", "*.example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("an authority", ""),
        ("f*.example.org", ""),
        ("*", ""),
        ("*.", ""),
        ("", ""),
        ("a..b", ""),
        ("\x00.example", ""),
    ],
)
def test_a_name_has_one_form_or_is_none(text: str, name: str) -> None:
    assert dns_name(text) == name


@given(st.text() | st.from_regex(r"(\*\.)?[a-zA-Z0-9.-]{1,80}", fullmatch=True))
def test_a_cleaned_name_is_clean(text: str) -> None:
    name = dns_name(text)

    assert dns_name(name) == name
    assert name == name.lower()
    assert name.isascii()
    assert re.fullmatch(r"(\*\.)?[a-z0-9.-]+|", name)


@pytest.mark.parametrize("kind", ["ECDSA", "RSA", "Ed25519"])
def test_the_type_of_a_key_is_known(kind: str) -> None:
    assert key_type(AUTHORITY.issue(["a.example"], kind).leaf) == kind


def test_a_key_that_tls_cannot_use_has_no_type() -> None:
    key: object = dsa.generate_private_key(1024)

    assert key_type(AUTHORITY.issue(["a.example"], key=key).leaf) == ""  # type: ignore[arg-type]


def test_of_two_certificates_for_a_name_the_one_valid_longest_is_shown() -> None:
    short, long = pair("a.example", lasts=DAY * 9), pair("a.example", "b.example", lasts=DAY * 10)

    assert choose([short, long], now()) == {"a.example": (long,), "b.example": (long,)}
    assert choose([long, short], now())["a.example"] == (long,)


def test_a_certificate_that_is_valid_goes_before_one_that_is_not_yet() -> None:
    today, tomorrow = pair("a.example"), pair("a.example", begins=DAY, lasts=DAY * 100)

    assert choose([today, tomorrow], now())["a.example"] == (today,)
    assert choose([today, tomorrow], now() + 2 * DAY)["a.example"] == (tomorrow,)


def test_key_types_stand_side_by_side() -> None:
    ecdsa, rsa, other = (
        pair("a.example"),
        pair("a.example", key_type="RSA"),
        pair("b.example"),
    )

    shown = choose([ecdsa, rsa, other], now())

    assert shown == {"a.example": (ecdsa, rsa), "b.example": (other,)}
    assert list(pairs_in(shown)) == [ecdsa, rsa, other]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.example.org", "exact"),
        ("b.example.org", "wildcard"),
        ("a.b.example.org", None),
        ("example.org", None),
        ("example", None),
        ("", None),
    ],
)
def test_an_exact_name_goes_before_a_wildcard_which_is_one_label(
    name: str, found: str | None
) -> None:
    assert covering({"a.example.org": "exact", "*.example.org": "wildcard"}, name) == found


def test_the_default_is_the_first_name_that_is_covered_else_the_first_certificate() -> None:
    first, second = pair("a.example"), pair("b.example")
    pairs = [first, second]
    shown = choose(pairs, now())

    assert default(shown, pairs, ["c.example", "b.example", "a.example"]) == (second,)
    assert default(shown, pairs, ["c.example"]) == (first,)
    assert default({}, [nameless := pair()], ["c.example"]) == (nameless,)


def test_what_is_too_weak_is_said() -> None:
    issue = AUTHORITY.issue

    assert weakness(issue(["a.example"]).leaf) == ""
    assert weakness(issue(["a.example"], "RSA").leaf) == ""
    assert "has 1024 bits" in weakness(issue(["a.example"], "RSA-1024").leaf)
    assert weakness(SHA1) == "it is signed with SHA1"


def client(*names: str | x509.GeneralName, email: str = "") -> bytes:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, "Alice")]
    if email:
        attributes.append(x509.NameAttribute(NameOID.EMAIL_ADDRESS, email))
    usage = ExtendedKeyUsageOID.CLIENT_AUTH
    return AUTHORITY.issue(list(names), subject=x509.Name(attributes), usage=usage).der


def utf8_mailbox(der: bytes) -> x509.OtherName:
    return x509.OtherName(UTF8_MAILBOX, der)


def test_a_client_certificate_names_mail_addresses() -> None:
    address = "älice@example.org".encode()
    der = client(
        "alice@example.org",
        "host.example.org",
        utf8_mailbox(bytes([0x0C, len(address)]) + address),
        x509.OtherName(ObjectIdentifier("1.2.3"), b"\x0c\x01a"),
        "alice@example.org",
        email="other@example.org",
    )

    assert client_names(der) == ("alice@example.org", "älice@example.org")


def test_the_subject_counts_only_without_mail_names() -> None:
    assert client_names(client(email="alice@example.org")) == ("alice@example.org",)
    assert client_names(client("a.example", email="alice@example.org")) == ("alice@example.org",)
    assert client_names(client()) == ()


@pytest.mark.parametrize(
    "der", [b"", b"\x30\x00", client(utf8_mailbox(b"\x0c\x01\xff")), client()[:-1]]
)
def test_a_client_certificate_that_cannot_be_read_names_nobody(der: bytes) -> None:
    assert client_names(der) == ()

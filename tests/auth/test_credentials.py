"""What a name and a password must be before another program sees them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.auth.credentials import (
    MAX_PASSWORD,
    MAX_USER,
    Credentials,
    bare_name,
    login_of,
)
from notqmail.mail.address import Address


@given(st.text(), st.text())
def test_what_passes_is_what_was_sent_and_harmless(user: str, password: str) -> None:
    sent = Credentials.of(user, password)

    if sent is not None:
        assert (sent.user.decode(), sent.password.decode()) == (user, password)
        assert b"\0" not in sent.user + sent.password
        assert not any(octet < 32 or octet == 127 for octet in sent.user)


@pytest.mark.parametrize(
    ("user", "password"),
    [("alice", "x"), ("alice@example.org", "a\nb"), ("дима", "пароль"), ("a b", " ")],
)
def test_names_and_passwords_of_every_kind_pass(user: str, password: str) -> None:
    assert Credentials.of(user, password) == Credentials(user.encode(), password.encode())


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("", "x"),
        ("alice", ""),
        ("alice\n", "x"),
        ("al\0ice", "x"),
        ("\x85", "x"),
        ("alice", "x\0"),
        ("\udcff", "x"),
        ("alice", "\ud800"),
    ],
)
def test_what_no_account_can_have_does_not(user: str, password: str) -> None:
    assert Credentials.of(user, password) is None


@pytest.mark.parametrize("letter", ["x", "я"])
def test_lengths_are_counted_in_octets(letter: str) -> None:
    width = len(letter.encode())

    assert Credentials.of(letter * (MAX_USER // width), letter * (MAX_PASSWORD // width))
    assert Credentials.of(letter * (MAX_USER // width + 1), "x") is None
    assert Credentials.of("x", letter * (MAX_PASSWORD // width + 1)) is None


def test_password_is_not_shown() -> None:
    assert "sesame" not in repr(Credentials(b"alice", b"sesame"))


@pytest.mark.parametrize(
    ("account", "realm", "address"),
    [
        ("alice", "example.org", Address("alice", "example.org")),
        ("alice@example.net", "example.org", Address("alice", "example.net")),
        ("alice", "", None),
        ("not an address", "example.org", None),
        ("@", "example.org", None),
    ],
)
def test_login_has_the_address_of_its_name(
    account: str, realm: str, address: Address | None
) -> None:
    login = login_of(account, realm)

    assert (login.account, login.address) == (account, address)


@pytest.mark.parametrize(
    ("user", "realm", "name"),
    [
        ("alice", "example.org", "alice"),
        ("alice@example.org", "example.org", "alice"),
        ("alice@EXAMPLE.org", "example.org", "alice"),
        ("alice@bücher.example", "xn--bcher-kva.example", "alice"),
        ("alice@example.net", "example.org", "alice@example.net"),
        ("alice@..", "example.org", "alice@.."),
        ("alice@", "", "alice@"),
        ("@example.org", "example.org", "@example.org"),
    ],
)
def test_user_of_the_machine_may_write_our_domain(user: str, realm: str, name: str) -> None:
    assert bare_name(user, realm) == name

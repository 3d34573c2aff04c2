import base64

import pytest
import scramp
from hypothesis import given
from hypothesis import strategies as st

from notqmail.auth.binding import END_POINT
from notqmail.auth.sasl_client import (
    MAX_ITERATIONS,
    STRENGTH,
    ClientExchange,
    client_exchange,
    strongest,
)

# RFC 7677 §3
NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = (
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
)
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def scram(nonce: str = NONCE) -> ClientExchange:
    return client_exchange("SCRAM-SHA-256", "user", "pencil", None, nonce)


def test_exchange_is_that_of_rfc_7677() -> None:
    exchange = scram()

    assert exchange.respond(None) == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert exchange.respond(SERVER_FIRST) == CLIENT_FINAL
    assert not exchange.complete
    assert exchange.respond(SERVER_FINAL) == b""
    assert exchange.complete


def test_exchange_is_that_of_rfc_5802() -> None:
    exchange = client_exchange("SCRAM-SHA-1", "user", "pencil", None, "fyko+d2lbbFgONRv9qkxdawL")

    assert exchange.respond(b"") == b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"
    assert exchange.respond(
        b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"
    ) == (b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=")
    assert exchange.respond(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=") == b""


@pytest.mark.parametrize(
    "mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"]
)
@pytest.mark.parametrize(("user", "password"), [("alice", "x"), ("a=b,c", "p,ä=\u2168")])
def test_another_implementation_lets_us_in(mechanism: str, user: str, password: str) -> None:
    binding = b"\x01" * 32 if mechanism.endswith("-PLUS") else None
    known = scramp.ScramMechanism(mechanism)
    kept = known.make_auth_info(password)
    server = known.make_server(
        lambda name: kept if name == user else None,
        channel_binding=(END_POINT, binding) if binding else None,
    )
    exchange = client_exchange(mechanism, user, password, binding, NONCE)

    server.set_client_first(exchange.respond(None).decode())
    server.set_client_final(exchange.respond(server.get_server_first().encode()).decode())
    exchange.respond(server.get_server_final().encode())

    assert exchange.complete


def test_a_list_without_plus_is_told_to_the_server() -> None:
    """RFC 5802 §6: "y" says that we could bind the channel and were offered nothing of the kind."""
    exchange = client_exchange("SCRAM-SHA-256", "user", "pencil", b"binding", NONCE)

    assert exchange.respond(None).startswith(b"y,,")
    assert exchange.respond(SERVER_FIRST).startswith(b"c=eSws,")


def test_plain_says_all_at_once() -> None:
    exchange = client_exchange("PLAIN", "alice", "p\u00e4ss", None, "")

    assert exchange.respond(None) == b"\0alice\0p\xc3\xa4ss"
    assert exchange.complete
    with pytest.raises(ValueError, match="more than the mechanism has"):
        exchange.respond(b"more")


def test_login_says_name_and_password_whatever_the_prompts() -> None:
    exchange = client_exchange("LOGIN", "alice", "secret", None, "")

    assert exchange.respond(b"User Name") == b"alice"
    assert not exchange.complete
    assert exchange.respond(b"\xff") == b"secret"
    assert exchange.complete


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (b"\xff", "not UTF-8"),
        (b"", "not understood"),
        (b"e=other-error", "not understood"),
        (b"m=x,r=rOprNGfwEbeRWgbNEkqO1,s=AAAA,i=4096", "not understood"),
        (b"r=rOprNGfwEbeRWgbNEkqO1,s=AAAA,i=04096", "not understood"),
        (b"r=rOprNGfwEbeRWgbNEkqO,s=AAAA,i=4096", "nonce"),
        (b"r=sOprNGfwEbeRWgbNEkqO1,s=AAAA,i=4096", "nonce"),
        (b"r=rOprNGfwEbeRWgbNEkqO1,s=AAA,i=4096", "base64"),
        (b"r=rOprNGfwEbeRWgbNEkqO1,s=AAAA,i=4095", "iterations"),
        (f"r={NONCE}1,s=AAAA,i={MAX_ITERATIONS + 1}".encode(), "iterations"),
    ],
)
def test_a_first_message_that_is_wrong_ends_it(message: bytes, problem: str) -> None:
    exchange = scram()
    exchange.respond(None)

    with pytest.raises(ValueError, match=problem):
        exchange.respond(message)
    assert not exchange.complete


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (b"", "not understood"),
        (b"v=AAA", "base64"),
        (b"v=" + base64.b64encode(b"\0" * 32), "not who it should be"),
        (b"e=invalid-proof", "the server says invalid-proof"),
    ],
)
def test_a_server_that_does_not_know_the_password_is_found_out(
    message: bytes, problem: str
) -> None:
    exchange = scram()
    exchange.respond(None)
    exchange.respond(SERVER_FIRST)

    with pytest.raises(ValueError, match=problem):
        exchange.respond(message)
    assert not exchange.complete


def test_nothing_is_said_out_of_turn() -> None:
    exchange = scram()
    with pytest.raises(ValueError, match="before it was spoken to"):
        exchange.respond(b"hello")
    exchange.respond(None)
    exchange.respond(SERVER_FIRST)
    exchange.respond(SERVER_FINAL)

    with pytest.raises(ValueError, match="more than the mechanism has"):
        exchange.respond(SERVER_FINAL)


@pytest.mark.parametrize(
    ("mechanism", "user", "password", "problem"),
    [
        ("CRAM-MD5", "u", "p", "CRAM-MD5 is not known"),
        ("SCRAM-SHA-256-PLUS", "u", "p", "needs TLS"),
        ("PLAIN", "u\0", "p", "NUL"),
        ("SCRAM-SHA-256", "u", "p\x07", "the password has a character"),
        ("SCRAM-SHA-256", "\x07", "p", "the name has a character"),
    ],
)
def test_what_cannot_be_begun_is_refused(
    mechanism: str, user: str, password: str, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        client_exchange(mechanism, user, password, None, NONCE)


def test_the_strongest_in_common_is_chosen() -> None:
    everything = ["plain", "LOGIN", "scram-sha-1", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"]

    assert strongest(everything, STRENGTH, bound=True) == "SCRAM-SHA-256-PLUS"
    assert strongest(everything, STRENGTH, bound=False) == "SCRAM-SHA-256"
    assert strongest(everything, ["LOGIN", "PLAIN"], bound=True) == "PLAIN"
    assert strongest(["CRAM-MD5"], STRENGTH, bound=True) is None


def test_no_secret_is_shown() -> None:
    for mechanism in ("PLAIN", "LOGIN", "SCRAM-SHA-256"):
        assert "pencil" not in repr(client_exchange(mechanism, "user", "pencil", None, NONCE))


@given(st.lists(st.binary(max_size=60) | st.sampled_from([SERVER_FIRST, SERVER_FINAL]), max_size=4))
def test_nothing_a_server_says_is_more_than_a_value_error(challenges: list[bytes]) -> None:
    exchange = scram()
    exchange.respond(None)

    try:
        for challenge in challenges:
            exchange.respond(challenge)
    except ValueError:
        return
    assert exchange.complete == (challenges == [SERVER_FIRST, SERVER_FINAL])

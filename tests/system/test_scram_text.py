import base64
import hashlib
import hmac

import pytest

from notqmail.system import scram_text


def test_stored_key_is_that_of_rfc_7677() -> None:
    """RFC 7677 §3: the keys of its example exchange, checked by the proofs that it shows."""
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    auth_message = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO,"
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")

    written = str(scram_text.make("pencil", salt, 4096))

    scheme, head, keys = written.split("$")
    stored, server = map(base64.b64decode, keys.split(":"))
    assert (scheme, head) == ("SCRAM-SHA-256", "4096:W22ZaJ0SNY7soEsUEjb6gQ==")
    signature = hmac.digest(stored, auth_message, "sha256")
    client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    assert hashlib.sha256(client_key).digest() == stored
    assert hmac.digest(server, auth_message, "sha256") == base64.b64decode(
        "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    )


def test_what_is_written_is_read() -> None:
    made = scram_text.make("pencil", b"salt", 4096)

    assert scram_text.read(str(made)) == made


KEY = base64.b64encode(b"k" * 32).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        f"SCRAM-SHA-1$4096:c2FsdA==${KEY}:{KEY}",
        f"SCRAM-SHA-256$0:c2FsdA==${KEY}:{KEY}",
        f"SCRAM-SHA-256$4096:${KEY}:{KEY}",
        f"SCRAM-SHA-256$4096:c2FsdA==${KEY}:AAAA",
        f"SCRAM-SHA-256$4096:c2FsdA${KEY}:{KEY}",
        f"SCRAM-SHA-256$4096:c2FsdA==${KEY}:{KEY}:{KEY}",
    ],
)
def test_what_is_no_stored_key_is_none(text: str) -> None:
    assert scram_text.read(text) is None


def test_keys_are_not_shown() -> None:
    assert "key" not in repr(scram_text.make("pencil", b"salt", 4096))

import base64
import string

import pytest

from notqmail.system.accounts_text import parse_users
from notqmail.system.passwords import (
    MAX_PASSWORD,
    generate,
    make_secrets,
    prepare,
    scram_sha_256,
    verify,
)


def test_password_fits_its_own_hash_only() -> None:
    argon2 = make_secrets("correct horse").argon2

    assert argon2.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert verify("correct horse", argon2)
    assert not verify("correct house", argon2)


def test_same_password_never_gives_the_same_secrets() -> None:
    one, other = make_secrets("x"), make_secrets("x")

    assert one.argon2 != other.argon2
    assert one.scram != other.scram


@pytest.mark.parametrize("argon2", ["", "-", "x", "$argon2id$v=19$broken", "$1$md5$hash"])
def test_hash_that_is_none_fits_no_password(argon2: str) -> None:
    assert not verify("x", argon2)


def test_stored_key_is_that_of_rfc_7677() -> None:
    """RFC 7677 §3: the keys of its example exchange, checked by the proofs that it shows."""
    import hashlib
    import hmac

    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    auth_message = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO,"
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")

    written = scram_sha_256("pencil", salt)

    scheme, head, keys = written.split("$")
    stored, server = map(base64.b64decode, keys.split(":"))
    assert (scheme, head) == ("SCRAM-SHA-256", "4096:W22ZaJ0SNY7soEsUEjb6gQ==")
    signature = hmac.digest(stored, auth_message, "sha256")
    client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    assert hashlib.sha256(client_key).digest() == stored
    assert hmac.digest(server, auth_message, "sha256") == base64.b64decode(
        "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    )


def test_secrets_are_what_the_users_file_takes() -> None:
    made = make_secrets("x")

    (account,) = parse_users(f"a@x.org {made.argon2} {made.scram}", "users").values()

    assert (account.argon2, account.scram) == (made.argon2, made.scram)


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("", "empty"),
        ("\u00ad", "empty"),
        ("a\x07", "cannot be typed"),
        ("a\r\nb", "cannot be typed"),
        ("\ud800", "cannot be typed"),
        ("\u0627\u0031", "directions"),
        ("\u0627a\u0627", "directions"),
        ("x" * (MAX_PASSWORD + 1), "longer than 1024"),
        ("é" * 513, "longer"),
    ],
)
def test_what_cannot_be_a_password_is_refused_with_a_sentence(password: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        make_secrets(password)
    assert not verify(password, "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g")


def test_generated_password_is_readable_and_has_100_bits() -> None:
    made = {generate() for _ in range(50)}

    assert len(made) == 50
    letters = set("".join(made)) - {"-"}
    assert letters <= set(string.ascii_lowercase + string.digits) - set("lo01")
    assert all([len(group) for group in word.split("-")] == [5] * 4 for word in made)
    assert all(prepare(word) == word for word in made)

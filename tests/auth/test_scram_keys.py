import base64

import scramp

from notqmail.auth.scram_keys import HASHES, derive, fits, masked, signature

# RFC 7677 §3
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
MESSAGE = (
    b"n=user,r=rOprNGfwEbeRWgbNEkqO,"
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
)
PROOF = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")


def test_proof_and_signature_are_those_of_rfc_7677() -> None:
    keys = derive("sha256", "pencil", SALT, 4096)

    assert masked("sha256", keys.stored_key, MESSAGE, keys.client_key) == PROOF
    assert fits("sha256", keys.stored_key, MESSAGE, PROOF)
    assert base64.b64encode(signature("sha256", keys.server_key, MESSAGE)) == (
        b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    )


def test_proof_of_another_password_or_message_does_not_fit() -> None:
    other = derive("sha256", "pencils", SALT, 4096)
    keys = derive("sha256", "pencil", SALT, 4096)

    assert not fits("sha256", other.stored_key, MESSAGE, PROOF)
    assert not fits("sha256", keys.stored_key, MESSAGE + b"0", PROOF)


def test_keys_are_those_of_another_implementation() -> None:
    for mechanism, hash in HASHES.items():
        made = scramp.ScramMechanism(mechanism).make_auth_info("pencil", 5000, SALT)
        keys = derive(hash, "pencil", SALT, 5000)
        assert made == (SALT, keys.stored_key, keys.server_key, 5000)


def test_keys_are_not_shown() -> None:
    assert repr(derive("sha1", "pencil", SALT, 4096)) == "Keys()"

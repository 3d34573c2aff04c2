"""How a session was protected, in words."""

import pytest

from notqmail.mail.protection import Level, Protection


@pytest.mark.parametrize(
    ("protection", "words"),
    [
        (
            Protection(Level.VERIFIED, "TLSv1.3", "AES", "as mx.example.net"),
            "TLSv1.3 AES verified: as mx.example.net",
        ),
        (
            Protection(Level.UNVERIFIED, "TLSv1.2", "AES", "self-signed certificate"),
            "TLSv1.2 AES not verified: self-signed certificate",
        ),
        (Protection(Level.CLEAR), "in clear"),
        (Protection(Level.REFUSED, why="no TLS"), "not protected enough: no TLS"),
    ],
)
def test_protection_says_what_was_had_and_why_no_more(protection: Protection, words: str) -> None:
    assert str(protection) == words

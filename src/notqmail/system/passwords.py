"""Passwords: hashed for PLAIN and LOGIN (argon2id, RFC 9106), stored keys for SCRAM (RFC 5802), and new ones.

Both forms are made of the password prepared with SASLprep (RFC 4013), as clients prepare it. Hashing takes about
20 ms of CPU and 19 MB: never on the event loop.
"""

import base64
import hashlib
import hmac
import secrets
import stringprep
import unicodedata
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MAX_PASSWORD = 1024  # octets, so that nobody makes us prepare and hash a novel
SCRAM_ITERATIONS = 4096  # RFC 7677 §4: at least 4096
_SALT = 16
# OWASP's second recommendation: 19 MiB, two passes; one lane, since the pool of threads bounds what runs at once
_HASHER = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # 32 letters that nobody mistakes: no l, o, 0, 1
_GROUPS, _GROUP = 4, 5  # 20 letters of 5 bits: 100 bits


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the users file holds of a password."""

    argon2: str
    scram: str


def make_secrets(password: str) -> Secrets:
    """Hash a password; raise ValueError, with a sentence for its owner, when it cannot be one."""
    prepared = prepare(password)
    return Secrets(_HASHER.hash(prepared), scram_sha_256(prepared, secrets.token_bytes(_SALT)))


def verify(password: str, argon2: str) -> bool:
    """Say whether this is the password; a hash that is no hash fits none."""
    try:
        return _HASHER.verify(argon2, prepare(password))
    except (ValueError, VerificationError, InvalidHashError):
        return False


def scram_sha_256(prepared: str, salt: bytes, iterations: int = SCRAM_ITERATIONS) -> str:
    """Derive what a SCRAM-SHA-256 server keeps (RFC 5802 §3), written as in RFC 5803."""
    salted = hashlib.pbkdf2_hmac("sha256", prepared.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${iterations}:{_b64(salt)}${_b64(stored_key)}:{_b64(server_key)}"


def generate() -> str:
    """Make a password to be read out and typed: 100 bits in four groups."""
    return "-".join(
        "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS)
    )


def prepare(password: str) -> str:
    """Prepare a password with SASLprep (RFC 4013 §2); raise ValueError for what it prohibits."""
    mapped = "".join(
        " " if stringprep.in_table_c12(c) else c for c in password if not stringprep.in_table_b1(c)
    )
    prepared = unicodedata.normalize("NFKC", mapped)
    if not prepared:
        raise ValueError("the password is empty")
    if len(prepared.encode("utf-8", "surrogatepass")) > MAX_PASSWORD:
        raise ValueError(f"the password is longer than {MAX_PASSWORD} octets")
    if any(prohibited(c) for prohibited in _PROHIBITED for c in prepared):
        raise ValueError("the password has a character that cannot be typed everywhere")
    _check_direction(prepared)
    return prepared


def _check_direction(text: str) -> None:
    """RFC 3454 §6: right-to-left text begins and ends with such a character and has no left-to-right one."""
    if any(map(stringprep.in_table_d1, text)):
        ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
        if not ends or any(map(stringprep.in_table_d2, text)):
            raise ValueError("the password mixes writing directions")


_PROHIBITED = (  # RFC 4013 §2.3
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def _b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")

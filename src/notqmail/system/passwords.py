"""Passwords: hashed for PLAIN and LOGIN (argon2id, RFC 9106), stored keys for SCRAM (RFC 5802), and new ones.

Both forms are made of the password prepared with SASLprep (RFC 4013), as clients prepare it. Hashing takes about
20 ms of CPU and 19 MB: never on the event loop.
"""

import base64
import secrets
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from notqmail.auth.saslprep import MAX_PREPARED, prepare
from notqmail.auth.scram_keys import MIN_ITERATIONS, derive

MAX_PASSWORD = MAX_PREPARED
SCRAM_ITERATIONS = MIN_ITERATIONS
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
    keys = derive("sha256", prepared, salt, iterations)
    return (
        f"SCRAM-SHA-256${iterations}:{_b64(salt)}${_b64(keys.stored_key)}:{_b64(keys.server_key)}"
    )


def generate() -> str:
    """Make a password to be read out and typed: 100 bits in four groups."""
    return "-".join(
        "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS)
    )


def _b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")

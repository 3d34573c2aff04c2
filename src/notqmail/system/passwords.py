"""Passwords: hashed for PLAIN and LOGIN (argon2id, RFC 9106), stored keys for SCRAM (RFC 5802), and new ones.

Both forms are made of the password prepared with SASLprep (RFC 4013), as clients prepare it. Hashing takes about
20 ms of CPU and 19 MB: never on the event loop.
"""

import base64
import re
import secrets
from dataclasses import dataclass, field

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError

from notqmail.auth.saslprep import MAX_PREPARED, prepare
from notqmail.auth.scram_keys import MIN_ITERATIONS
from notqmail.config import Argon2
from notqmail.system import scram_text
from notqmail.system.scram_text import ScramText

MAX_PASSWORD = MAX_PREPARED
SCRAM_ITERATIONS = MIN_ITERATIONS
_SALT, _HASH = 16, 32
_COST = Argon2()
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # 32 letters that nobody mistakes: no l, o, 0, 1
_GROUPS, _GROUP = 4, 5  # 20 letters of 5 bits: 100 bits
_GENERATED = re.compile("-".join([f"[{_ALPHABET}]{{{_GROUP}}}"] * _GROUPS))


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the users file holds of a password."""

    argon2: str = field(repr=False)
    scram: str = field(repr=False)


def make_secrets(password: str, cost: Argon2 = _COST, like: ScramText | None = None) -> Secrets:
    """Hash a password; raise ValueError, with a sentence for its owner, when it cannot be one.

    With `like` its SCRAM keys have that salt and those iterations: the passwords of one account share them.
    """
    prepared = prepare(password)
    salt, iterations = salting(like)
    scram = scram_text.make(prepared, salt, iterations)
    return Secrets(_hasher(cost).hash(prepared), str(scram))


def salting(like: ScramText | None) -> tuple[bytes, int]:
    """Give salt and iterations for SCRAM: those of another password of the account, or new ones."""
    if like is not None:
        return like.salt, like.iterations
    return secrets.token_bytes(_SALT), SCRAM_ITERATIONS


def verify(password: str, argon2: str) -> bool:
    """Say whether this is the password; a hash that is no hash fits none."""
    try:
        return PasswordHasher().verify(argon2, prepare(password))
    except (ValueError, VerificationError, InvalidHashError):
        return False


def decoy(cost: Argon2 = _COST) -> str:
    """Make a hash that no password fits and that costs as much to verify as one made now."""
    salt, hash = (
        base64.b64encode(secrets.token_bytes(size)).decode("ascii").rstrip("=")
        for size in (_SALT, _HASH)
    )
    return f"$argon2id$v=19$m={cost.memory >> 10},t={cost.passes},p={cost.lanes}${salt}${hash}"


def stale(argon2: str, cost: Argon2) -> bool:
    """Say whether a hash was made at another cost than one is made now."""
    try:
        made = extract_parameters(argon2)
    except InvalidHashError:
        return True
    return (made.memory_cost, made.time_cost, made.parallelism) != (
        cost.memory >> 10,
        cost.passes,
        cost.lanes,
    )


def generate() -> str:
    """Make a password to be read out and typed: 100 bits in four groups."""
    return "-".join(
        "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS)
    )


def generated(password: str) -> bool:
    """Say whether a password looks like one of `generate`."""
    return _GENERATED.fullmatch(password) is not None


def _hasher(cost: Argon2) -> PasswordHasher:
    return PasswordHasher(cost.passes, cost.memory >> 10, cost.lanes, _HASH, _SALT)

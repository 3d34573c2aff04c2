"""What a SCRAM-SHA-256 server keeps of a password, as our text files write it (RFC 5803):

SCRAM-SHA-256$ITERATIONS:SALT$STORED:SERVER
"""

import base64
import binascii
import re
from dataclasses import dataclass, field

from notqmail.auth.scram_keys import derive

PATTERN = (
    r"SCRAM-SHA-256\$[1-9]\d{0,8}:[A-Za-z0-9+/]+={0,2}\$[A-Za-z0-9+/]+={0,2}:[A-Za-z0-9+/]+={0,2}"
)
_LENGTH = 32  # octets of a SHA-256


@dataclass(frozen=True, slots=True)
class ScramText:
    """Salt, iterations and keys of one password."""

    salt: bytes
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    def __str__(self) -> str:
        salt, stored, server = map(_encoded, (self.salt, self.stored_key, self.server_key))
        return f"SCRAM-SHA-256${self.iterations}:{salt}${stored}:{server}"


def make(prepared: str, salt: bytes, iterations: int) -> ScramText:
    """Derive what is kept of a prepared password."""
    keys = derive("sha256", prepared, salt, iterations)
    return ScramText(salt, iterations, keys.stored_key, keys.server_key)


def read(text: str) -> ScramText | None:
    """Read it; None when it is none: "", "-", keys of another length."""
    if re.fullmatch(PATTERN, text) is None:
        return None
    _, head, keys = text.split("$")
    iterations, _, salt = head.partition(":")
    stored, _, server = keys.partition(":")
    try:
        octets = [base64.b64decode(each, validate=True) for each in (salt, stored, server)]
    except binascii.Error:
        return None
    if not octets[0] or {len(each) for each in octets[1:]} != {_LENGTH}:
        return None
    return ScramText(octets[0], int(iterations), octets[1], octets[2])


def _encoded(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")

"""The keys of SCRAM (RFC 5802 §3), for SHA-256 (RFC 7677) and SHA-1: what both sides compute.

    SaltedPassword  = PBKDF2(password, salt, iterations)
    ClientKey       = HMAC(SaltedPassword, "Client Key")      StoredKey = H(ClientKey)
    ServerKey       = HMAC(SaltedPassword, "Server Key")
    ClientProof     = ClientKey XOR HMAC(StoredKey, AuthMessage)
    ServerSignature = HMAC(ServerKey, AuthMessage)

The server keeps StoredKey and ServerKey; neither lets anybody log in.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Literal

Hash = Literal["sha256", "sha1"]

HASHES: dict[str, Hash] = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}
MIN_ITERATIONS = 4096  # RFC 7677 §4


@dataclass(frozen=True, slots=True)
class Keys:
    """What follows from a password."""

    client_key: bytes = field(repr=False)
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


def derive(hash: Hash, prepared: str, salt: bytes, iterations: int) -> Keys:
    """Derive the keys of a prepared password: about 1 ms of CPU for 4096 iterations."""
    salted = hashlib.pbkdf2_hmac(hash, prepared.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", hash)
    return Keys(
        client_key,
        hashlib.new(hash, client_key).digest(),
        hmac.digest(salted, b"Server Key", hash),
    )


def masked(hash: Hash, stored_key: bytes, message: bytes, other: bytes) -> bytes:
    """Give ClientKey XOR ClientSignature: the proof of a client key, and the client key of a proof."""
    signature = hmac.digest(stored_key, message, hash)
    return bytes(a ^ b for a, b in zip(signature, other, strict=True))


def fits(hash: Hash, stored_key: bytes, message: bytes, proof: bytes) -> bool:
    """Say whether a proof, as long as the hash, was made with the key that is stored."""
    client_key = masked(hash, stored_key, message, proof)
    return hmac.compare_digest(hashlib.new(hash, client_key).digest(), stored_key)


def signature(hash: Hash, server_key: bytes, message: bytes) -> bytes:
    """Give the ServerSignature."""
    return hmac.digest(server_key, message, hash)

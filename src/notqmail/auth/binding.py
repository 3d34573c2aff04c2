"""Channel bindings of TLS: by what both ends know that they are at the ends of one connection (RFC 5056)."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes

END_POINT = "tls-server-end-point"


def end_point(leaf: x509.Certificate) -> bytes | None:
    """Give the binding tls-server-end-point of a server's certificate (RFC 5929 §4.1); None where the signature uses no
    hash that could be named (Ed25519, Ed448): then none is defined."""
    algorithm = leaf.signature_hash_algorithm
    if algorithm is None:
        return None
    if isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    return leaf.fingerprint(algorithm)

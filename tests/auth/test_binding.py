"""Channel bindings."""

from cryptography.hazmat.primitives import hashes

from notqmail.auth.binding import end_point
from tests.support.tls import SHA1, Authority, new_key


def test_the_binding_is_the_hash_that_the_signature_uses() -> None:
    leaf = Authority().issue(["a.example"], digest=hashes.SHA384()).leaf

    assert end_point(leaf) == leaf.fingerprint(hashes.SHA384())


def test_the_binding_of_a_weak_signature_is_sha256() -> None:
    assert end_point(SHA1) == SHA1.fingerprint(hashes.SHA256())


def test_a_signature_without_a_hash_has_no_end_point() -> None:
    assert end_point(Authority(new_key("Ed25519")).issue(["a.example"]).leaf) is None

"""W4: the certificate. The rest is shown with Postfix in tests/interop/test_bench_workloads.py."""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

from tests.bench.workloads.w4 import W4


def test_the_server_is_given_a_p_256_certificate_and_a_key_for_its_eyes_only(
    tmp_path: Path,
) -> None:
    given = W4().setup(tmp_path).certificate

    assert given is not None
    key = x509.load_pem_x509_certificate(given.chain.read_bytes()).public_key()
    assert isinstance(key, EllipticCurvePublicKey)
    assert isinstance(key.curve, SECP256R1)
    assert given.key.stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE KEY" in given.key.read_bytes()

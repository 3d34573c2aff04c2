"""The contexts of a client, and whom a certificate is for."""

import datetime
import hashlib
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from notqmail.delivery.tls import Contexts, end_point, names_of, proved, trusts_nobody
from notqmail.mail.errors import ConfigError


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


def test_contexts_are_the_same_whatever_the_interpreter(ca: trustme.CA, tmp_path: Path) -> None:
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    made = Contexts.made(str(tmp_path / "ca.pem"))

    for context in (made.proving, made.any):
        assert not context.check_hostname
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert context.verify_flags == ssl.VerifyFlags.VERIFY_X509_TRUSTED_FIRST
    assert (made.proving.verify_mode, made.any.verify_mode) == (ssl.CERT_REQUIRED, ssl.CERT_NONE)
    assert len(made.proving.get_ca_certs()) == 1


def test_system_is_trusted_unless_a_file_is_named() -> None:
    assert Contexts.made().proving.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("text", [None, "", "no certificate"])
def test_file_without_certificates_is_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)

    with pytest.raises(ConfigError) as caught:
        Contexts.made(str(path))

    assert caught.value.where == str(path)


def test_system_says_whether_it_trusts_anybody() -> None:
    assert isinstance(trusts_nobody(), bool)


def certificate(*names: str) -> dict[str, Any]:
    kinds = [("IP Address" if name[0].isdigit() or ":" in name else "DNS", name) for name in names]
    return {"subjectAltName": tuple(kinds), "subject": ((("commonName", "cn.example"),),)}


@pytest.mark.parametrize(
    ("names", "certified", "expected"),
    [
        (("host",), ("mx.example.net",), "mx.example.net"),
        (("host",), ("MX.Example.NET",), "mx.example.net"),
        (("host",), ("*.example.net",), "mx.example.net"),
        (("host",), ("*.net",), ""),
        (("host",), ("m*.example.net",), ""),
        (("host",), ("*.mx.example.net",), ""),
        (("host",), ("other.example", "mx.example.net"), "mx.example.net"),
        (("host",), ("cn.example",), ""),
        (("domain",), ("example.net",), "example.net"),
        (("host", "domain"), ("example.net",), "example.net"),
        (("Mail.Example",), ("mail.example",), "mail.example"),
        ((".example.net",), ("mx9.example.net",), ".example.net"),
        ((".example.net",), ("*.example.net",), ".example.net"),
        ((".example.net",), ("example.net",), ""),
        ((".example.net",), ("badexample.net",), ""),
        (("cn.example",), ("x.example",), ""),  # the common name counts for nothing
        (("host",), (), ""),
    ],
)
def test_certificate_is_for_its_alternative_names(
    names: tuple[str, ...], certified: tuple[str, ...], expected: str
) -> None:
    assert proved(certificate(*certified), names, "mx.example.net", "example.net") == expected


@pytest.mark.parametrize("name", ["*.example", "*.net"])
def test_wildcard_stands_for_a_label_of_a_domain_below_the_top(name: str) -> None:
    assert not proved(certificate(name), ("host",), "example", "x")
    assert not proved(certificate(name), ("host",), "x.net", "x")


@pytest.mark.parametrize(
    ("host", "certified", "fine"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:DB8:0:0:0:0:0:1\n", True),
        ("192.0.2.1", "x.example", False),
    ],
)
def test_certificate_may_be_for_an_address(host: str, certified: str, fine: bool) -> None:
    assert bool(proved(certificate(certified), ("host",), host, host)) is fine


def test_names_of_a_certificate_are_told_in_few_words() -> None:
    assert names_of(certificate("a.example", "192.0.2.1")) == "a.example, 192.0.2.1"
    assert names_of(certificate("a", "b", "c", "d")) == "a, b, c…"
    assert names_of({}) == "no name"


def der(hash: Any = None) -> bytes:
    key: Any = (
        ec.generate_private_key(ec.SECP256R1()) if hash else ed25519.Ed25519PrivateKey.generate()
    )
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hash)
    )
    return made.public_bytes(serialization.Encoding.DER)


def test_binding_is_the_digest_of_the_certificate() -> None:
    """RFC 5929 §4.1."""
    sha256, sha384 = der(hashes.SHA256()), der(hashes.SHA384())

    assert end_point(sha256) == hashlib.sha256(sha256).digest()
    assert end_point(sha384) == hashlib.sha384(sha384).digest()


@pytest.mark.parametrize("octets", [None, b"", b"nonsense"])
def test_no_certificate_binds_nothing(octets: bytes | None) -> None:
    assert end_point(octets) is None


def test_signature_without_a_hash_binds_nothing() -> None:
    assert end_point(der()) is None

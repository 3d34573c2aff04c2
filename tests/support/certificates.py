"""Certificates for tests: a CA in a file, and contexts of servers that have one of it, or none of it."""

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

EXPIRED = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Authority:
    """Who signs. `file` has its certificate, for `outbound.ca_file`."""

    ca: trustme.CA
    file: str

    @classmethod
    def made(cls, directory: Path) -> "Authority":
        ca = trustme.CA()
        file = directory / "ca.pem"
        ca.cert_pem.write_to_path(str(file))
        return cls(ca, str(file))

    def context(self, *names: str) -> ssl.SSLContext:
        """A server with a valid certificate for these names."""
        return serving(self.ca.issue_cert(*names))

    def expired(self, *names: str) -> ssl.SSLContext:
        return serving(self.expired_certificate(*names))

    def expired_certificate(self, *names: str) -> trustme.LeafCert:
        return self.ca.issue_cert(
            *names, not_after=EXPIRED, not_before=EXPIRED - datetime.timedelta(days=90)
        )


def untrusted(*names: str) -> ssl.SSLContext:
    """A server whose certificate nobody trusts."""
    return serving(trustme.CA().issue_cert(*names))


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def write(certificate: trustme.LeafCert, directory: Path) -> tuple[str, str]:
    """Write a certificate with its chain, and its key; give both paths."""
    chain, key = directory / "chain.pem", directory / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(str(key))
    return str(chain), str(key)


def self_signed(directory: Path, *names: str) -> tuple[str, str]:
    """Write a certificate that is signed by itself, and its key; give both paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
        .sign(key, hashes.SHA256())
    )
    chain, private = directory / "chain.pem", directory / "key.pem"
    chain.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(chain), str(private)

"""TLS without sockets: an authority that issues certificates of every kind, and handshakes over memory.

    authority = Authority()
    authority.issue(["mx.example.org"]).write(directory / "cert.pem", directory / "key.pem")
    server, client = handshake(tls, authority.client(), "mx.example.org")

A `Server` is anything whose `wrap` gives the server's side of a connection.
"""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Generic, Protocol, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from notqmail.config import Config, parse

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
S = TypeVar("S", bound=ssl.SSLObject)
S_co = TypeVar("S_co", bound=ssl.SSLObject, covariant=True)

SHA1 = x509.load_pem_x509_certificate(  # for a.example; libraries make no such certificate any more
    b"""\
-----BEGIN CERTIFICATE-----
MIIBfTCCASSgAwIBAgIUbaXc1y0HvQqG4HngvGxwfs4eUGkwCQYHKoZIzj0EATAU
MRIwEAYDVQQDDAlhLmV4YW1wbGUwIBcNMjYxMTI3MjEwMDM2WhgPMjEyNjExMDMy
MTAwMzZaMBQxEjAQBgNVBAMMCWEuZXhhbXBsZTBZMBMGByqGSM49AgEGCCqGSM49
AwEHA0IABAl3NOADevOh3GZlSPbfQZeTfMcmat7oi6tJbIAcsur7eTt2ECs2/1W5
mEaewXzK9LnhpmkslCGvAuX8bZeo5nejUzBRMB0GA1UdDgQWBBR0dFUKPvuwiqZG
4Ce2+vWYg9pKWjAfBgNVHSMEGDAWgBR0dFUKPvuwiqZG4Ce2+vWYg9pKWjAPBgNV
HRMBAf8EBTADAQH/MAkGByqGSM49BAEDSAAwRQIgKUVXrNtpOurN46fQgE6Sfst+
gPslWp5L8GboI3YGnR0CIQDV0SbJrQ/iKN65G05ozj4FTOk+jXIsQAwoz/veu/wi
IA==
-----END CERTIFICATE-----
"""
)
DAY = timedelta(days=1)
TURNS = 10  # of a handshake; a whole one needs three


def new_key(key_type: str = "ECDSA") -> PrivateKey:
    """Make a key; RSA keys, which take long, are made once per size: "RSA", "RSA-1024"."""
    if key_type == "ECDSA":
        return ec.generate_private_key(ec.SECP256R1())
    if key_type == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return _rsa(int(key_type.partition("-")[2] or 2048))


@cache
def _rsa(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def key_pem(key: PrivateKey, passphrase: str = "") -> bytes:
    encryption: Any = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


@dataclass(frozen=True)
class Issued:
    """A certificate with its chain, and its key."""

    leaf: x509.Certificate
    key: PrivateKey
    issuer: x509.Certificate

    @property
    def chain_pem(self) -> bytes:
        both = (self.leaf, self.issuer)
        return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in both)

    @property
    def key_pem(self) -> bytes:
        return key_pem(self.key)

    @property
    def der(self) -> bytes:
        return self.leaf.public_bytes(serialization.Encoding.DER)

    def show(self, context: ssl.SSLContext) -> ssl.SSLContext:
        """Make it what a context shows."""
        with NamedTemporaryFile() as file:
            file.write(self.chain_pem + self.key_pem)
            file.flush()
            context.load_cert_chain(file.name)
        return context

    def write(self, chain: Path, key: Path) -> "Issued":
        """Write chain and key, directories too."""
        for path, pem in ((chain, self.chain_pem), (key, self.key_pem)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pem)
        return self


@dataclass(frozen=True)
class Authority:
    """Signs certificates. It is trusted by the contexts of `client`."""

    key: PrivateKey = field(default_factory=new_key)

    @property
    def certificate(self) -> x509.Certificate:
        builder = self._builder(_name("an authority"), self.key, DAY * 3650)
        builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
        return builder.sign(self.key, self._digest(hashes.SHA256()))

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        names: Sequence[str | x509.GeneralName],
        key_type: str = "ECDSA",
        *,
        lasts: timedelta = DAY * 90,
        begins: timedelta = -DAY,
        common_name: str = "",
        subject: x509.Name | None = None,
        key: PrivateKey | None = None,
        digest: hashes.HashAlgorithm = hashes.SHA256(),  # noqa: B008 - a value
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
        revocations: str = "",
    ) -> Issued:
        """Make a certificate. Without names it has no subjectAltName; `lasts` and `begins` count from now;
        `revocations` is the address of a list that is said to be there."""
        key = key or new_key(key_type)
        builder = self._builder(subject or _name(common_name or "somebody"), key, lasts, begins)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if names:
            general = [_general(name) if isinstance(name, str) else name for name in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
        if revocations:
            point = x509.DistributionPoint(
                [x509.UniformResourceIdentifier(revocations)], None, None, None
            )
            builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
        return Issued(builder.sign(self.key, self._digest(digest)), key, self.certificate)

    def _digest(self, digest: Any) -> Any:
        return None if isinstance(self.key, ed25519.Ed25519PrivateKey) else digest

    def _builder(
        self, subject: x509.Name, key: PrivateKey, lasts: timedelta, begins: timedelta = -DAY
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(_name("an authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + min(begins, lasts - DAY))
            .not_valid_after(now + lasts)
        )

    def client(self, ciphers: str = "DEFAULT", newest: str = "TLSv1_3") -> ssl.SSLContext:
        """Make a client's context that trusts this authority and no other."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.pem.decode())
        context.set_ciphers(ciphers)
        context.maximum_version = ssl.TLSVersion[newest]
        return context


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.RFC822Name(text) if "@" in text else x509.DNSName(text)


class Server(Protocol[S_co]):
    """The server's side of connections."""

    def wrap(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, kind: str = "mx") -> S_co: ...


class Wire(Generic[S]):
    """A client and a server with nothing but memory between them. `change` may change what the client sends."""

    def __init__(
        self,
        server: Server[S],
        client: ssl.SSLContext,
        name: str | None = None,
        *,
        kind: str = "mx",
        session: ssl.SSLSession | None = None,
        change: tuple[bytes, bytes] = (b"", b""),
    ) -> None:
        self.bios = [ssl.MemoryBIO() for _ in range(4)]
        to_server, from_server, to_client, from_client = self.bios
        self.server = server.wrap(to_server, from_server, kind)
        self.client = client.wrap_bio(to_client, from_client, server_hostname=name, session=session)
        self._change = change

    def handshake(self) -> None:
        """Shake hands to the end, session tickets included. Raises ssl.SSLError of either side."""
        done = {self.client: False, self.server: False}
        for _ in range(TURNS):
            for side in (self.client, self.server):
                try:
                    side.read(1) if done[side] else side.do_handshake()
                    done[side] = True
                except ssl.SSLWantReadError:
                    pass
                finally:
                    self.carry()
            if all(done.values()) and not any(bio.pending for bio in self.bios):
                return
        raise AssertionError("the handshake does not come to an end")

    def carry(self) -> None:
        """Carry what both have written to the other."""
        to_server, from_server, to_client, from_client = self.bios
        old, new = self._change
        octets = from_client.read()
        to_server.write(octets.replace(old, new) if old else octets)
        to_client.write(from_server.read())

    def say(self, octets: bytes) -> bytes:
        """Say something and give what the server hears."""
        self.client.write(octets)
        self.carry()
        return self.server.read(len(octets))

    @property
    def shown(self) -> bytes:
        """The certificate the client was shown, DER."""
        der = self.client.getpeercert(binary_form=True)
        assert der is not None
        return der


def handshake(
    server: Server[S], client: ssl.SSLContext, name: str | None = None, **keys: Any
) -> Wire[S]:
    """Make a connection, hands shaken."""
    wire = Wire(server, client, name, **keys)
    wire.handshake()
    return wire


def settings(home: Path, *certificates: tuple[str, str], **tls: Any) -> Config:
    """A configuration whose `[tls]` names (chain, key), relative to `home`, and has these keys."""
    tables = [{"chain": chain, "key": key} for chain, key in certificates]
    document = {"hostname": "mx.example.org", "tls": {"certificate": tables, **tls}}
    return parse(document, home / "notqmail.toml")

"""TLS as a client: two contexts, and which names a certificate proves.

OpenSSL verifies the chain while it shakes hands, and tells nothing about it afterwards; so a context that demands a
valid chain is tried first, and one that demands nothing where that is allowed. The name is compared by us after the
handshake, because the names that count are configured and need not be the one in SNI (RFC 9525 §6, RFC 6066 §3).
Contexts are made by hand, so that no default of the interpreter changes what they mean.
"""

import ipaddress
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from notqmail.auth import binding
from notqmail.mail.errors import ConfigError

Certificate = Mapping[str, Any]  # as SSLObject.getpeercert gives it


@dataclass(frozen=True, slots=True)
class Contexts:
    """`proving` demands a valid chain, `any` takes every certificate."""

    proving: ssl.SSLContext
    any: ssl.SSLContext

    @classmethod
    def made(cls, ca_file: str = "") -> Self:
        """Trust who is in `ca_file`, or whom the system trusts. Raises ConfigError."""
        proving = _context(ssl.CERT_REQUIRED)
        try:
            if ca_file:
                proving.load_verify_locations(ca_file)
            else:
                proving.set_default_verify_paths()
        except OSError as error:  # ssl.SSLError among them
            problem = "holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
            raise ConfigError(ca_file, problem or "cannot be read", "name a PEM file") from None
        return cls(proving, _context(ssl.CERT_NONE))


def trusts_nobody() -> bool:
    """Say whether this system has no certificates of who is trusted to sign others."""
    paths = ssl.get_default_verify_paths()
    directory = Path(paths.capath) if paths.capath else None
    return not paths.cafile and (directory is None or not any(directory.iterdir()))


def proved(certificate: Certificate, names: Sequence[str], host: str, domain: str) -> str:
    """Give the first of the names that count for which a valid certificate is, or "". `names` as in the configuration:
    "host", "domain", or names."""
    meant = {"host": host, "domain": domain}
    for name in (meant.get(name, name) for name in names):
        if _is_for(certificate, name.lower()):
            return name.lower()
    return ""


def names_of(certificate: Certificate, limit: int = 3) -> str:
    """Give the names of a certificate as text for people, the first ones."""
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind in _KINDS]
    more = "…" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more or "no name"


def end_point(certificate: bytes | None) -> bytes | None:
    """Give the channel binding tls-server-end-point of a certificate in DER; None where there is none."""
    if certificate is None:
        return None
    try:
        return binding.end_point(x509.load_der_x509_certificate(certificate))
    except (ValueError, UnsupportedAlgorithm):
        return None


_KINDS = ("DNS", "IP Address")


def _context(mode: ssl.VerifyMode) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = mode
    context.verify_flags = ssl.VerifyFlags.VERIFY_X509_TRUSTED_FIRST
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _is_for(certificate: Certificate, name: str) -> bool:
    """RFC 9525 §6.3: only subjectAltName counts, and a wildcard is a whole first label."""
    alternatives: Iterable[tuple[str, str]] = certificate.get("subjectAltName", ())
    address = _address(name)
    if address is not None:
        return any(kind == "IP Address" and _address(v) == address for kind, v in alternatives)
    return any(kind == "DNS" and _matches(value.lower(), name) for kind, value in alternatives)


def _matches(pattern: str, name: str) -> bool:
    if name.startswith("."):  # any name below it
        return pattern.removeprefix("*").endswith(name)
    if pattern.startswith("*."):
        first, _, rest = name.partition(".")
        return bool(first) and "." in rest and rest == pattern[2:]
    return pattern == name


def _address(text: str) -> object | None:
    try:
        return ipaddress.ip_address(text.strip())
    except ValueError:
        return None

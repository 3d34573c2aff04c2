"""Certificates as values: whom one names, which of several is shown for a name, how SCRAM binds to it.

Names are A-labels in lower case, `*.example.org` among them. Nothing here reads a file or the clock.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtensionOID, NameOID, ObjectIdentifier

from notqmail.config import Certificate
from notqmail.mail.errors import AddressError
from notqmail.mail.idn import canonical_domain

MIN_RSA = 2048  # bits; RFC 7525 §4.3, and what public authorities sign (CA/Browser Forum BR §6.1.5)
_SMTP_UTF8_MAILBOX = ObjectIdentifier("1.3.6.1.5.5.7.8.9")  # RFC 9598 §3
_KEY_TYPES = (
    (ec.EllipticCurvePublicKey, "ECDSA"),
    (rsa.RSAPublicKey, "RSA"),
    (ed25519.Ed25519PublicKey, "Ed25519"),
    (ed448.Ed448PublicKey, "Ed448"),
)

T = TypeVar("T")
Stamps = tuple[object, object]


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A certificate and its key as they were read, whole and fitting. `source` is what named the files; `stamps` are
    those of the chain and of the key."""

    source: Certificate
    chain: Path
    key: Path
    chain_pem: bytes = field(repr=False)
    key_pem: bytes = field(repr=False)
    leaf: x509.Certificate = field(repr=False)
    names: tuple[str, ...]
    key_type: str
    stamps: Stamps = field(repr=False)


def names_of(leaf: x509.Certificate) -> tuple[str, ...]:
    """Give the DNS names of a certificate: those of subjectAltName, and only without one the common name
    (RFC 9525 §2; what older private authorities still make). Raises ValueError when it cannot be read."""
    found = _alternative_names(leaf)
    if found is None:
        texts = [
            _text(each.value) for each in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        ]
    else:
        texts = found.get_values_for_type(x509.DNSName)
    return tuple(dict.fromkeys(name for text in texts if (name := dns_name(text))))


def dns_name(text: str) -> str:
    """Give a DNS name in the form that names have here; "" for what is none."""
    star, rest = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    try:
        return star + canonical_domain(rest.removesuffix("."))
    except AddressError:
        return ""


def key_type(leaf: x509.Certificate) -> str:
    """Give the type of the key, "" for one that TLS has no use for. Raises ValueError when it cannot be read."""
    key = leaf.public_key()
    return next((name for kind, name in _KEY_TYPES if isinstance(key, kind)), "")


def choose(pairs: Sequence[Pair], now: datetime) -> Mapping[str, tuple[Pair, ...]]:
    """Give what is shown for each name: for each type of key the certificate that is valid longest, one that is valid
    already before one that is not yet."""
    best: dict[str, dict[str, Pair]] = {}
    for pair in pairs:
        for name in pair.names:
            of_name = best.setdefault(name, {})
            other = of_name.get(pair.key_type)
            if other is None or _lasts(pair, now) > _lasts(other, now):
                of_name[pair.key_type] = pair
    return {name: tuple(of_name.values()) for name, of_name in best.items()}


def _lasts(pair: Pair, now: datetime) -> tuple[bool, datetime]:
    return pair.leaf.not_valid_before_utc <= now, pair.leaf.not_valid_after_utc


def covering(shown: Mapping[str, T], name: str) -> T | None:
    """Give what is shown for a name: an exact match, else a wildcard, which stands for one label (RFC 9525 §6.3)."""
    exact = shown.get(name)
    return shown.get("*." + name.partition(".")[2]) if exact is None else exact


def default(
    shown: Mapping[str, tuple[Pair, ...]], pairs: Sequence[Pair], names: Sequence[str]
) -> tuple[Pair, ...]:
    """Give what is shown to who asks for nothing we have: that of the first of `names` that is covered, else the
    first."""
    found = (covering(shown, name) for name in (*names, *pairs[0].names))
    return next((each for each in found if each is not None), (pairs[0],))


def weakness(leaf: x509.Certificate) -> str:
    """Say why clients would refuse a certificate whatever its dates; "" for a good one."""
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA:
        return f"its RSA key has {key.key_size} bits, less than {MIN_RSA}"
    if isinstance(leaf.signature_hash_algorithm, hashes.MD5 | hashes.SHA1):
        return f"it is signed with {leaf.signature_hash_algorithm.name.upper()}"
    return ""


def client_names(der: bytes) -> tuple[str, ...]:
    """Give the mail addresses a verified client certificate is issued for: rfc822Name and SmtpUTF8Mailbox (RFC 9598),
    and only without these the emailAddress of the subject (RFC 5280 §4.1.2.6). What cannot be read names nobody."""
    try:
        leaf = x509.load_der_x509_certificate(der)
        return tuple(dict.fromkeys(_mail_names(leaf)))
    except (ValueError, x509.DuplicateExtension):
        return ()


def _mail_names(leaf: x509.Certificate) -> list[str]:
    found = _alternative_names(leaf) or ()
    names = [name for each in found if (name := _mail_name(each))]
    if names:
        return names
    return [
        _text(each.value) for each in leaf.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS)
    ]


def _mail_name(name: x509.GeneralName) -> str:
    if isinstance(name, x509.RFC822Name):
        return name.value
    if isinstance(name, x509.OtherName) and name.type_id == _SMTP_UTF8_MAILBOX:
        return asn1.decode_der(str, name.value)
    return ""


def _alternative_names(leaf: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        found = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        return None
    assert isinstance(found.value, x509.SubjectAlternativeName)
    return found.value


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def pairs_in(shown: Mapping[str, tuple[Pair, ...]]) -> Iterator[Pair]:
    """Yield each certificate that is shown for some name, once."""
    yield from dict.fromkeys(pair for pairs in shown.values() for pair in pairs)

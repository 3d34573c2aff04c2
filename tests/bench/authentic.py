"""A domain whose mail passes every check, with its names, and a message that bears its signature.

The message is signed once and sent again and again: to check it costs the same every time.
"""

import os
import re
from base64 import b64encode
from email.utils import formatdate
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from tests.support.dns import ZoneData

DOMAIN = "authentic.example"  # not .test, of which libunbound says itself that it does not exist
SENDER = f"alice@{DOMAIN}"
HELLO = f"mail.{DOMAIN}"
SELECTOR = "bench"

_RESULT = re.compile(r"\b(spf|dkim|dmarc)=(\w+)")
_RECEIVED_SPF = re.compile(r"^received-spf: (\w+)", re.MULTILINE)


def new_key(path: Path) -> None:
    """Write an RSA key of 2,048 bits, as most domains sign with, for root's eyes only."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)


def zone(key: Path) -> ZoneData:
    """The domain's records: SPF allows loopback, DMARC asks for rejection."""
    spf = '"v=spf1 ip4:127.0.0.0/8 -all"'
    return {
        DOMAIN: {"TXT": spf, "MX": f"10 {HELLO}", "A": "127.0.0.1"},
        HELLO: {"TXT": spf, "A": "127.0.0.1"},
        f"{SELECTOR}._domainkey.{DOMAIN}": {"TXT": _key_record(key)},
        f"_dmarc.{DOMAIN}": {"TXT": '"v=DMARC1; p=reject"'},
    }


def _key_record(key: Path) -> str:
    private = load_pem_private_key(key.read_bytes(), None)
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    base64 = "".join(pem.decode().splitlines()[1:-1])
    text = f"v=DKIM1; k=rsa; p={base64}"
    return f'"{text[:250]}" "{text[250:]}"'  # a string in a record holds 255 octets


def message(octets: int) -> bytes:
    """An unsigned message of about so many octets, with LF: smtp-source makes CRLF of it."""
    header = (
        f"From: Alice <{SENDER}>\nTo: Bob <bob@bench.test>\nSubject: a message that can be checked\n"
        f"Date: {formatdate()}\nMessage-ID: <1@{DOMAIN}>\nMIME-Version: 1.0\n"
        "Content-Type: text/plain; charset=us-ascii\n\n"
    ).encode()
    return header + (b"X" * 78 + b"\n") * max(1, (octets - len(header)) // 80)


def signed(content: bytes, key: Path) -> bytes:
    """Sign a message that has LF, with relaxed canonicalization (RFC 6376 §3.4.2, §3.4.4)."""
    header, _, body = content.replace(b"\n", b"\r\n").partition(b"\r\n\r\n")
    digest = b64encode(sha256(body).digest()).decode()  # nothing in there that could be relaxed
    names = [line.partition(b":")[0].decode() for line in header.split(b"\r\n")]
    field = (
        f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={DOMAIN}; s={SELECTOR}; "
        f"h={':'.join(names)}; bh={digest}; b="
    )
    lines = [line.partition(b":") for line in header.split(b"\r\n")]
    relaxed = b"".join(name.lower() + b":" + value.strip() + b"\r\n" for name, _, value in lines)
    relaxed += b"dkim-signature:" + field.partition(":")[2].strip().encode()
    private = load_pem_private_key(key.read_bytes(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    signature = b64encode(private.sign(relaxed, PKCS1v15(), SHA256())).decode()
    pieces = (signature[at : at + 70] for at in range(0, len(signature), 70))
    return (field + "\n ".join(pieces) + "\n").encode() + content


def results(delivered: bytes) -> dict[str, str]:
    """What a server says of a message it has delivered, in Authentication-Results or Received-SPF, in lower case."""
    header = re.split(rb"\r?\n\r?\n", delivered, maxsplit=1)[0].decode("utf-8", "replace").lower()
    fields = re.sub(r"\r?\n[ \t]+", " ", header)
    found = {}
    if spf := _RECEIVED_SPF.search(fields):
        found["spf"] = spf[1]
    for line in fields.splitlines():
        if line.startswith("authentication-results:"):
            found |= dict(_RESULT.findall(line))
    return found

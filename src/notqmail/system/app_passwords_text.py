"""The text of the app passwords file, as values. Pure.

    # the mailbox, a label, hash and SCRAM stored key of the password, then what it is restricted to
    alice@example.org phone SHA256$… SCRAM-SHA-256$4096:salt$stored:server
    alice@example.org scanner SHA256$… SCRAM-… from=scanner@example.org networks=192.0.2.0/24,2001:db8::/32 for=submission

Such a password is made by us and has 100 bits: nobody finds it by trying, however fast the hash is. So it is an HMAC,
and one login costs one HMAC, whether the account has none of them or fifty, where a password that people choose needs
argon2. The key of the HMAC is the salt of the SCRAM keys, which all passwords of an account share: SCRAM tells a
client one salt before it knows which password the client has.
"""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from notqmail.mail.address import Address
from notqmail.mail.errors import AddressError, ConfigError
from notqmail.mail.login import Attempt
from notqmail.mail.network import Network, parse_network
from notqmail.system import scram_text
from notqmail.system.accounts_text import ADDRESS, Key, lines, read_address
from notqmail.system.scram_text import ScramText

SUBMISSION = "submission"
_LABEL = r"[\w.+@-]{1,64}"
_KINDS: Mapping[str, frozenset[str]] = {SUBMISSION: frozenset({"submission", "submissions"})}
_LINE = re.compile(
    rf"(?P<name>{ADDRESS})\s+(?P<label>{_LABEL})\s+SHA256\$(?P<hash>\S+)\s+(?P<scram>{scram_text.PATTERN})"
    rf"(?:\s+from=(?P<from>{ADDRESS}))?(?:\s+networks=(?P<networks>[^\s#]+))?(?:\s+for=(?P<for>{'|'.join(_KINDS)}))?"
    r"(?:\s+#.*)?"
)


@dataclass(frozen=True, slots=True)
class AppPassword:
    """One of several passwords of an account. `purpose` "submission" restricts it to sending; `networks` to clients
    there; `only_from` to one sender address."""

    address: Address
    label: str
    hash: bytes = field(repr=False)
    scram: ScramText
    only_from: Address | None = None
    networks: tuple[Network, ...] = ()
    purpose: str = ""

    @property
    def id(self) -> str:
        """Another one for another password, though its label be the same; no secret."""
        return hashlib.sha256(self.hash).hexdigest()[:16]

    def permits(self, attempt: Attempt) -> bool:
        """Say whether it may be used by this client, for this."""
        if self.purpose and attempt.kind not in _KINDS[self.purpose]:
            return False
        return not self.networks or _within(attempt.address, self.networks)

    def __str__(self) -> str:
        hash = base64.b64encode(self.hash).decode("ascii")
        parts = [str(self.address), self.label, f"SHA256${hash}", str(self.scram)]
        if self.only_from is not None:
            parts.append(f"from={self.only_from}")
        if self.networks:
            parts.append(f"networks={','.join(map(str, self.networks))}")
        if self.purpose:
            parts.append(f"for={self.purpose}")
        return " ".join(parts)


def hash_of(prepared: str, salt: bytes) -> bytes:
    """Hash a password that we made."""
    return hmac.digest(salt, prepared.encode(), "sha256")


def is_label(text: str) -> bool:
    """Say whether a text can be a label: 1 to 64 letters, digits, and . _ - + @."""
    return re.fullmatch(_LABEL, text) is not None


def parse_app_passwords(text: str, where: str) -> Mapping[Key, tuple[AppPassword, ...]]:
    """Read the file; raise ConfigError with `where`, line and remedy."""
    found: dict[Key, tuple[AppPassword, ...]] = {}
    for number, line in lines(text):
        each = _read(line, f"{where}:{number}")
        key = each.address.fold, each.address.domain
        before = found.get(key, ())
        if any(other.label == each.label for other in before):
            raise ConfigError(
                f"{where}:{number}",
                f"{each.address} has {each.label} twice",
                "give one of the two another label",
            )
        found[key] = (*before, each)
    return found


def _read(line: str, at: str) -> AppPassword:
    match = _LINE.fullmatch(line)
    hash = _decoded(match["hash"]) if match is not None else b""
    scram = scram_text.read(match["scram"]) if match is not None else None
    if match is None or scram is None or len(hash) != hashlib.sha256().digest_size:
        raise ConfigError(  # the line itself is not told: it has secrets
            at, "not an app password", "make them: notqmail user app-password add ADDR LABEL"
        )
    try:
        only_from = Address.parse(match["from"]) if match["from"] else None
        networks = (
            tuple(map(parse_network, match["networks"].split(","))) if match["networks"] else ()
        )
    except (AddressError, ValueError) as error:
        raise ConfigError(
            at, str(error), "write from=ADDRESS networks=192.0.2.0/24,2001:db8::/32"
        ) from None
    return AppPassword(
        read_address(match["name"], at),
        match["label"],
        hash,
        scram,
        only_from,
        networks,
        match["for"] or "",
    )


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return any((mapped or ip) in each for each in networks)

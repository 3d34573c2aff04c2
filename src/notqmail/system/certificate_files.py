"""Certificate files: what `[[tls.certificate]]` names, read and checked, and taken up by OpenSSL.

A path may hold {name}, which stands for one component of it or a part of one, the same text wherever it stands in
`chain` and `key`. Each directory entry that fits and has a chain is a certificate: certbot's live/{name}/fullchain.pem,
acme.sh's {name}_ecc/fullchain.cer.

Files are read once and used from memory: a file that is being replaced cannot give one half of it to the check and the
other to OpenSSL, and a certificate stays in use when its files become unreadable.
"""

import contextlib
import os
import re
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from notqmail.config import Certificate, Config
from notqmail.mail.errors import ConfigError
from notqmail.system.accounts import stamp
from notqmail.system.certificates import Pair, Stamps, key_type, names_of

NAME = "{name}"
HOW_TO = "docs/how-to/certificates.md"


class Files(NamedTuple):
    """The paths of a chain and of its key."""

    chain: Path
    key: Path


class Trouble(NamedTuple):
    """A certificate that cannot be used. It is `fatal` when it was named, not found by a pattern, and none from before
    stays in its place."""

    error: ConfigError
    fatal: bool
    chain: Path


@dataclass(frozen=True, slots=True)
class Reading:
    """What the files hold, in the order of the configuration, and what is wrong with the others."""

    pairs: tuple[Pair, ...]
    troubles: tuple[Trouble, ...]


def read_all(settings: Config, before: Sequence[Pair] = ()) -> Reading:
    """Read every certificate. Of those in `before`, what has not changed is not read again, and what cannot be used as
    it is now stays as it was."""
    known = {Files(pair.chain, pair.key): pair for pair in before}
    pairs: dict[Files, Pair] = {}
    troubles: list[Trouble] = []
    good: set[Path] = set()
    for index, source in enumerate(settings.tls.certificate):
        where, named = f"{settings.path}: tls.certificate[{index}]", NAME not in source.chain
        try:
            found = list(_expand(source, where))
        except ConfigError as error:
            troubles.append(Trouble(error, named, Path(source.chain)))
            found = []
            pairs |= {files: pair for files, pair in known.items() if pair.source == source}
        for files in found:
            try:
                pairs[files] = _read(source, files, where, known.get(files))
                good.add(files.chain)
            except ConfigError as error:
                troubles.append(Trouble(error, named and files not in known, files.chain))
                if files in known:
                    pairs[files] = known[files]
    # {name}/fullchain.cer fits acme.sh's directory x_ecc too, whose key is not x_ecc.key: the other pattern's affair
    relevant = tuple(each for each in troubles if each.fatal or each.chain not in good)
    return Reading(tuple(pairs.values()), relevant)


def _expand(source: Certificate, where: str) -> Iterator[Files]:
    """Yield the files of each name. Raises ConfigError for a pattern that fits nothing, or cannot be looked for."""
    if NAME not in source.chain:
        yield Files(Path(source.chain), Path(source.key))
        return
    parts = Path(source.chain).parts
    at = next(index for index, part in enumerate(parts) if NAME in part)
    directory = Path(*parts[:at])
    head, *rest = map(re.escape, parts[at].split(NAME))
    shape = re.compile(f"{head}(?P<name>.+){'(?P=name)'.join(rest)}", re.DOTALL)
    try:
        entries = sorted(os.listdir(directory))  # noqa: PTH208 - names alone
    except OSError as error:
        raise _unreadable(f"{where}.chain", directory, error) from None
    names = [match["name"] for entry in entries if (match := shape.fullmatch(entry))]
    found = [name for name in names if _is_there(source.chain.replace(NAME, name))]
    if not found:
        raise ConfigError(
            f"{where}.chain",
            f"nothing fits {source.chain}",
            f"get a certificate, or correct the path: {HOW_TO}",
        )
    for name in found:
        yield Files(*(Path(path.replace(NAME, name)) for path in (source.chain, source.key)))


def _is_there(path: str) -> bool:
    """Say whether there is something, readable or not, a link that leads nowhere included."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _stamps(files: Files) -> Stamps:
    return stamp(files.chain), stamp(files.key)


def _read(source: Certificate, files: Files, where: str, before: Pair | None) -> Pair:
    """Read one certificate with its key; raise ConfigError when they cannot be used."""
    stamps = _stamps(files)
    if before is not None and before.stamps == stamps and None not in stamps:
        return before
    chain_pem = read_file(files.chain, f"{where}.chain")
    key_pem = read_file(files.key, f"{where}.key")
    try:
        leaf = x509.load_pem_x509_certificates(chain_pem)[0]
        names, kind = names_of(leaf), key_type(leaf)
    except (ValueError, x509.DuplicateExtension, IndexError):
        raise ConfigError(
            f"{where}.chain",
            f"{files.chain} holds no certificate that can be read",
            "it must be PEM, your certificate first",
        ) from None
    if not kind:
        raise ConfigError(
            f"{where}.chain", f"{files.chain} has a key of a type not for TLS", "use ECDSA or RSA"
        )
    pair = Pair(source, files.chain, files.key, chain_pem, key_pem, leaf, names, kind, stamps)
    try:
        take_up(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pair)
    except ssl.SSLError as error:
        raise _unusable(where, files, error) from None
    return pair


def read_file(path: Path, where: str) -> bytes:
    """Read a file; raise ConfigError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(where, path, error) from None


def _unreadable(where: str, path: Path, error: OSError) -> ConfigError:
    if isinstance(error, FileNotFoundError):
        return ConfigError(where, f"there is no {path}", f"correct the path: {HOW_TO}")
    remedy = f"let the server's user read it: {HOW_TO}"
    return ConfigError(where, f"{path} cannot be read: {error.strerror}", remedy)


def read_client_ca(settings: Config) -> bytes:
    """Give the certificates in `tls.client_ca` as DER, one behind the other; raise ConfigError."""
    where, path = f"{settings.path}: tls.client_ca", Path(settings.tls.client_ca)
    try:
        found = x509.load_pem_x509_certificates(read_file(path, where))
    except ValueError:
        raise ConfigError(where, f"{path} holds no certificate", "it must be PEM") from None
    return b"".join(each.public_bytes(Encoding.DER) for each in found)


_FOREIGN = (
    "{key} does not belong to {chain}",
    "name the key that the certificate was made with; while a renewal is being written this passes",
)
_REASONS = {
    "KEY_VALUES_MISMATCH": _FOREIGN,
    "NO_CERTIFICATE_ASSIGNED": _FOREIGN,  # a key of another type
    "EE_KEY_TOO_SMALL": ("the key of {chain} is too short", "get one with a longer key"),
    "CA_KEY_TOO_SMALL": ("{chain} is signed with too short a key", "get a new certificate"),
    "CA_MD_TOO_WEAK": ("{chain} is signed too weakly (SHA-1)", "get a new certificate"),
}
_BROKEN = (
    "{key} or {chain} is broken, or the key has a passphrase",
    "it must be PEM without a passphrase (openssl pkey -in KEY -out NEW takes one off)",
)


def _unusable(where: str, files: Files, error: ssl.SSLError) -> ConfigError:
    """Say what OpenSSL does not like. The certificate itself has been read before."""
    problem, remedy = _REASONS.get(error.reason or "", _BROKEN)
    problem = problem.format(chain=files.chain, key=files.key)
    return ConfigError(f"{where}.key", problem, remedy)


def take_up(context: ssl.SSLContext, pair: Pair) -> None:
    """Load a certificate and its key into a context, beside those of another key type. Raises ssl.SSLError."""
    with _as_file(pair.chain_pem) as chain, _as_file(pair.key_pem) as key:
        # without a password OpenSSL would ask for one on the terminal
        context.load_cert_chain(chain, key, password=lambda: "")


@contextlib.contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """Give a path under which OpenSSL, which takes nothing else, reads octets from memory; they never reach a disk."""
    fd = os.memfd_create("certificate")
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(data)
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)

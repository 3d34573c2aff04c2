"""The text of the users and aliases files, as values. Pure.

    # users: the mailbox, then its secrets or "-": argon2 hash, SCRAM stored key
    alice@example.org  $argon2id$v=19$…  SCRAM-SHA-256$4096:salt$stored:server
    # aliases: name: targets; without a local part it is the domain's catch-all
    sales@example.org: alice@example.org, bob@example.net
    @example.org: alice@example.org

`#` begins a comment at the start of a line or after white space. A local part with blanks is quoted, as in mail.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from notqmail.mail.address import Address
from notqmail.mail.errors import AddressError, ConfigError
from notqmail.mail.idn import canonical_domain

Key = tuple[str, str]  # Address.fold (or "" for a catch-all), domain as A-label

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_LOCAL = rf"(?:{_QUOTED}|[^\s,:\"@#][^\s,:\"@]*)"
_DOMAIN = r"(?:\[[^\]\s]*\]|[^\s,:]+)"
ADDRESS = rf"{_LOCAL}(?:@{_DOMAIN})?"
_WORD = r"[^\s#]\S*"
_COMMENT = r"(?:\s+#.*|\s*)"
_USER = re.compile(
    rf"(?P<name>{ADDRESS})(?:\s+(?P<argon2>{_WORD}))?(?:\s+(?P<scram>{_WORD}))?{_COMMENT}"
)
_ALIAS = re.compile(
    rf"(?P<name>{ADDRESS}|@{_DOMAIN})\s*:\s*(?P<targets>{ADDRESS}(?:\s*,\s*{ADDRESS})*),?{_COMMENT}"
)
_ONE = re.compile(ADDRESS)
_ARGON2 = re.compile(r"-|\$argon2(?:id|i|d)\$\S+")
_SCRAM = re.compile(
    r"-|SCRAM-SHA-256\$[1-9]\d*:[A-Za-z0-9+/]+=*\$[A-Za-z0-9+/]+=*:[A-Za-z0-9+/]+=*"
)


@dataclass(frozen=True, slots=True)
class Account:
    """One mailbox. A secret is "" when there is none: nobody logs in by it then."""

    address: Address
    argon2: str = ""
    scram: str = ""


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that say something, with their numbers from 1."""
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield number, stripped


def parse_users(text: str, where: str) -> Mapping[Key, Account]:
    """Read a users file; raise ConfigError with `where`, line and remedy."""
    accounts: dict[Key, Account] = {}
    for number, line in lines(text):
        at = f"{where}:{number}"
        match = _USER.fullmatch(line)
        if match is None:
            raise ConfigError(
                at, "not a user", "write: ADDRESS [ARGON2 [SCRAM]], or - for no secret"
            )
        name, argon2, scram = match["name"], match["argon2"] or "-", match["scram"] or "-"
        address = read_address(name, at)
        if not _ARGON2.fullmatch(argon2) or not _SCRAM.fullmatch(scram):
            raise ConfigError(  # the secret itself is not told
                at,
                f"the secrets of {address} are not understood",
                f"set them: notqmail user passwd {address}",
            )
        key = address.fold, address.domain
        if key in accounts:
            raise ConfigError(at, f"{address} stands twice", "remove one of the two lines")
        accounts[key] = Account(
            address, "" if argon2 == "-" else argon2, "" if scram == "-" else scram
        )
    return accounts


def parse_aliases(text: str, where: str) -> Mapping[Key, tuple[Address, ...]]:
    """Read an aliases file; raise ConfigError with `where`, line and remedy."""
    aliases: dict[Key, tuple[Address, ...]] = {}
    for number, line in lines(text):
        at = f"{where}:{number}"
        match = _ALIAS.fullmatch(line)
        if match is None:
            raise ConfigError(at, "not an alias", "write: NAME@DOMAIN: ADDRESS, ADDRESS…")
        key = alias_key(match["name"], at)
        if key in aliases:
            raise ConfigError(at, f"{match['name']} stands twice", "put the targets into one line")
        aliases[key] = tuple(read_address(one[0], at) for one in _ONE.finditer(match["targets"]))
    return aliases


def alias_key(name: str, where: str) -> Key:
    """Read the name of an alias, `local@domain` or `@domain`; raise ConfigError."""
    if name.startswith("@"):
        try:
            return "", canonical_domain(name[1:])
        except AddressError as error:
            raise ConfigError(where, str(error), "a catch-all is @DOMAIN") from None
    address = read_address(name, where)
    return address.fold, address.domain


def read_address(text: str, where: str) -> Address:
    """Read an address with a domain; raise ConfigError."""
    try:
        address = Address.parse(text)
    except AddressError as error:
        raise ConfigError(where, f"{text!r}: {error}", "write local@domain") from None
    if not address.domain:
        raise ConfigError(where, f"{text!r} has no domain", "write local@domain")
    return address

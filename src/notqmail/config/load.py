"""The door to the configuration: it reads, converts, checks what can be checked without the world, and names file, key
path and nearest known key when something is wrong."""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
from msgspec import Struct

from notqmail.config.file import Config
from notqmail.config.outbound import Outbound, SmarthostLogin
from notqmail.config.outbound_check import problems as outbound_problems
from notqmail.config.quantity import Section, endpoint, quantity
from notqmail.config.tls import Certificate, Tls
from notqmail.mail.address import Address
from notqmail.mail.errors import AddressError, ConfigError
from notqmail.mail.idn import canonical_domain
from notqmail.mail.network import parse_network

SUBMISSION = ("submission", "submissions")


def load(path: Path) -> Config:
    """Read and check a configuration file; raise ConfigError with file, key path and remedy."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            str(path), "no such file", "make one with `notqmail init DIR --hostname H --domain D`"
        ) from None
    except OSError as error:
        raise ConfigError(str(path), error.strerror or "cannot be read") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(str(path), f"not valid TOML: {error}") from None
    return parse(raw, path)


def parse(raw: Mapping[str, Any], path: Path) -> Config:
    """Turn a decoded TOML document into a Config whose relative paths stand against `path`."""
    where = str(path)
    _known_keys(Config, raw, where, "")
    try:
        config = msgspec.convert(raw, Config, dec_hook=quantity, str_keys=True)
    except msgspec.ValidationError as error:
        problem, _, at = str(error).partition(" - at ")
        raise ConfigError(
            f"{where}: {at.strip('`').removeprefix('$.') or 'file'}", problem
        ) from None
    base = path.resolve().parent
    config = msgspec.structs.replace(
        config,
        path=str(path.resolve()),
        data_dir=str(base / config.data_dir),
        users=str(base / config.users),
        aliases=str(base / config.aliases),
        tls=_absolute_tls(config.tls, base),
        auth=msgspec.structs.replace(
            config.auth, app_passwords=str(base / config.auth.app_passwords)
        ),
        submission=msgspec.structs.replace(
            config.submission, senders=str(base / config.submission.senders)
        ),
        outbound=_absolute_outbound(config.outbound, base),
    )
    _check(config, where)
    return config


def _absolute_tls(tls: Tls, base: Path) -> Tls:
    certificates = tuple(
        Certificate(chain=str(base / each.chain), key=str(base / each.key))
        for each in tls.certificate
    )
    client_ca = str(base / tls.client_ca) if tls.client_ca else ""
    return msgspec.structs.replace(tls, certificate=certificates, client_ca=client_ca)


def _absolute_outbound(outbound: Outbound, base: Path) -> Outbound:
    def login(given: SmarthostLogin) -> SmarthostLogin:
        file = str(base / given.password_file) if given.password_file else ""
        return msgspec.structs.replace(given, password_file=file)

    replace = msgspec.structs.replace
    tables = tuple(replace(each, login=login(each.login)) for each in outbound.to)
    ca_file = str(base / outbound.ca_file) if outbound.ca_file else ""
    return replace(outbound, ca_file=ca_file, login=login(outbound.login), to=tables)


def _known_keys(kind: type[Struct], raw: Any, where: str, at: str) -> None:
    """Name the first unknown key with the nearest known one."""
    if not isinstance(raw, Mapping):
        return
    hints = get_type_hints(kind)
    known = (
        [name for name in kind.__struct_fields__ if name != "path"]
        if kind is Config
        else list(kind.__struct_fields__)
    )
    for key, value in raw.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            remedy = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(known)}"
            raise ConfigError(f"{where}: {at}{key}", "unknown key", remedy)
        inner = hints[key]
        if isinstance(inner, type) and issubclass(inner, Section):
            _known_keys(inner, value, where, f"{at}{key}.")
        elif (
            isinstance(value, list)
            and (args := get_args(inner))
            and isinstance(args[0], type)
            and issubclass(args[0], Section)
        ):
            for index, item in enumerate(value):
                _known_keys(args[0], item, where, f"{at}{key}[{index}].")


def _check(config: Config, where: str) -> None:
    """What types cannot say: raise for the first problem."""
    for key, problem, remedy in _problems(config):
        raise ConfigError(f"{where}: {key}", problem, remedy)


def _problems(config: Config) -> Iterator[tuple[str, str, str]]:
    """Key, problem, remedy. Lazy: a later check may rely on what an earlier one found well."""
    yield from _malformed(config)
    yield from outbound_problems(config.outbound)
    if "." not in config.hostname:
        problem = f"{config.hostname!r} is not fully qualified"
        yield "hostname", problem, "give the full name, like mx.example.org"
    if len(set(config.domains)) != len(config.domains):
        yield "domain", "a domain stands twice", ""
    if len({listen.name for listen in config.listen}) != len(config.listen):
        yield "listen", "two listeners have one name", ""
    yield from _shared_mailboxes(config)
    for i, listen in enumerate(config.listen):
        if listen.repair_bare_lf and listen.kind not in SUBMISSION:
            problem = f"not on kind {listen.kind!r}: it would let mail be smuggled in"
            yield f"listen[{i}].repair_bare_lf", problem, "only submission listeners may repair"
        if listen.kind in SUBMISSION and not config.tls.certificate:
            problem = f"{listen.kind!r} needs a certificate: nobody logs in without TLS"
            yield f"listen[{i}].kind", problem, "add [[tls.certificate]] with chain and key"
        if listen.kind == "lmtp":
            yield f"listen[{i}].kind", "'lmtp' is not available yet", 'use kind = "mx"'
    for i, certificate in enumerate(config.tls.certificate):
        if "{name}" in certificate.key and "{name}" not in certificate.chain:
            problem = "{name} stands in `key` and not in `chain`"
            yield f"tls.certificate[{i}].chain", problem, "use it in both, or in neither"
    if config.auth.argon2.memory < (8 << 10) * config.auth.argon2.lanes:  # RFC 9106 §3.1
        yield "auth.argon2.memory", "too little", "give at least 8KB for each lane; 19MB is usual"
    if "checkpassword" in config.auth.sources and not config.auth.checkpassword.command:
        remedy = 'name it: command = ["/bin/checkpassword", "/bin/true"]'
        yield "auth.checkpassword.command", "no program", remedy


def _shared_mailboxes(config: Config) -> Iterator[tuple[str, str, str]]:
    """A path that would give two mailboxes one directory, or leave where it belongs."""
    path, remedy = config.mailbox.path, "see the default: mail/{domain}/{user}/Maildir"
    if re.search(r"[{}]", path.replace("{domain}", "").replace("{user}", "")):
        yield "mailbox.path", "only {domain} and {user} are filled in", remedy
    if "{user}" not in path or ("{domain}" not in path and len(config.domains) > 1):
        yield "mailbox.path", "several mailboxes would share one directory", remedy
    if ".." in path.split("/"):
        yield "mailbox.path", "goes up with ..", remedy


_MAY_BE_EMPTY = ("postmaster", "auth.realm", "tls.default")


def _malformed(config: Config) -> Iterator[tuple[str, str, str]]:
    """Names, addresses and endpoints that cannot be read."""
    texts: list[tuple[str, str, Callable[[str], object], str]] = [
        ("hostname", config.hostname, canonical_domain, ""),
        *((f"domain[{i}].name", d.name, canonical_domain, "") for i, d in enumerate(config.domain)),
        *(
            (f"listen[{i}].bind", b, endpoint, "")
            for i, e in enumerate(config.listen)
            for b in e.bind
        ),
        *(
            (f"listen[{i}].{key}", each, parse_network, "")
            for i, e in enumerate(config.listen)
            for key, networks in (("proxy", e.proxy), ("xclient", e.xclient))
            for each in networks
        ),
        *(("auth.ban.exempt", each, parse_network, "") for each in config.auth.ban.exempt),
        ("auth.realm", config.auth.realm, canonical_domain, ""),
        ("tls.default", config.tls.default, canonical_domain, ""),
        *(("web.bind", b, endpoint, "") for b in config.web.bind),
        ("postmaster", config.postmaster, Address.parse, ""),
    ]
    for key, text, read, remedy in texts:
        if not text and key in _MAY_BE_EMPTY:
            continue
        try:
            read(text)
        except (AddressError, ValueError) as error:
            yield key, str(error), remedy

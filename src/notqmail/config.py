"""The configuration: one TOML file read into frozen values. Every default and unit stands here, nowhere else.

`load` is the door: it reads, converts, checks what can be checked without the world, and names file, key path and
nearest known key when something is wrong. A time is "30s", "5m", "4h", "7d"; a size is "64KB", "50MB".
"""

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_type_hints

import msgspec
from msgspec import Meta, Struct

from notqmail.mail.address import Address
from notqmail.mail.errors import AddressError, ConfigError
from notqmail.mail.idn import canonical_domain

_SECONDS = {"": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_OCTETS = {"": 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
_QUANTITY = re.compile(r"([0-9]{1,18}(?:\.[0-9]+)?) *([A-Za-z]*)")


class Seconds(float):
    """A span of time, written "90s", "5m", "4h", "7d"."""


class Size(int):
    """A number of octets, written "64KB", "50MB" (powers of 1024)."""


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


_UNITS: dict[type, Mapping[str, float]] = {Seconds: _SECONDS, Size: _OCTETS}


def _s(seconds: float) -> Seconds:
    return Seconds(seconds)


class Limits(Section, frozen=True):
    """What one listener lets its clients do. What is over a limit is answered, never buffered."""

    connections: Annotated[
        int, Meta(ge=1, description="sessions at once on this listener; over it: 421")
    ] = 2000
    connections_per_ipv4: Annotated[
        int, Meta(ge=1, description="sessions at once from one IPv4 address; over it: 421")
    ] = 100
    connections_per_ipv6: Annotated[
        int, Meta(ge=1, description="sessions at once from one IPv6 /64; over it: 421")
    ] = 100
    messages: Annotated[
        int, Meta(ge=1, description="messages in one session; over it: 421 (LIMITS MAILMAX)")
    ] = 1000
    recipients: Annotated[
        int,
        Meta(
            ge=100,
            description="recipients of one message; over it: 452 4.5.3 (LIMITS RCPTMAX), as many again: 421",
        ),
    ] = 1000
    errors: Annotated[
        int, Meta(ge=1, description="refused commands in one session; over it: 421 and the end")
    ] = 20
    commands: Annotated[
        int,
        Meta(
            ge=10,
            description="commands that move no mail (NOOP, RSET, VRFY, EHLO…) in one session; over it: 421",
        ),
    ] = 200
    command_line: Annotated[
        int, Meta(ge=512, description="octets of a command line with CRLF; over it: 500 5.5.2")
    ] = 4096
    text_line: Annotated[
        int,
        Meta(ge=1000, description="octets of a line of a message with CRLF; over it: 554 5.6.0"),
    ] = 16384
    header: Annotated[
        Size, Meta(description="octets of a message's header; over it: 552 5.3.4")
    ] = Size(256 << 10)
    message: Annotated[Size, Meta(description="octets of a message; over it: 552 5.3.4 (SIZE)")] = (
        Size(50 << 20)
    )
    command_timeout: Annotated[
        Seconds, Meta(description="silence before a command; over it: 421 4.4.2")
    ] = _s(300)
    data_timeout: Annotated[
        Seconds, Meta(description="silence within a message; over it: 421 4.4.2")
    ] = _s(180)
    session_timeout: Annotated[
        Seconds, Meta(description="a session without a message accepted for so long: 421 4.4.2")
    ] = _s(3600)
    hops: Annotated[
        int, Meta(ge=10, description="Received fields; over it: 554 5.4.6 (RFC 5321 section 6.3)")
    ] = 100
    stage_timeout: Annotated[
        Seconds, Meta(description="for one stage of judgement; over it: 451 4.3.0")
    ] = _s(20)


class Listen(Section, frozen=True):
    """A listener: a name, a kind with its pipeline, and the addresses it is bound to."""

    name: Annotated[str, Meta(description="what the log and the metrics call it")]
    kind: Annotated[
        Literal["mx", "submission", "submissions", "lmtp"],
        Meta(description="what it is for; each kind has its own pipeline"),
    ]
    bind: Annotated[
        tuple[str, ...], Meta(min_length=1, description='"address:port", "[IPv6]:port"')
    ]
    greet_delay: Annotated[
        Seconds,
        Meta(
            description="wait so long before the banner; who talks first is refused at RCPT (0: no wait)"
        ),
    ] = _s(0)
    repair_bare_lf: Annotated[
        bool,
        Meta(description="read a bare LF as CRLF instead of refusing it; submission kinds only"),
    ] = False
    helo: Annotated[
        Literal["lenient", "strict", "off"],
        Meta(
            description="HELO names refused at RCPT (501 5.5.2): what can be no name, what is outside the grammar, none"
        ),
    ] = "lenient"
    disagreement: Annotated[
        Literal["quarantine", "dsn"],
        Meta(description="a recipient that rejects what others take: into Junk, or told by DSN"),
    ] = "quarantine"
    limits: Limits = Limits()


class Domain(Section, frozen=True):
    """A domain whose mail ends here."""

    name: Annotated[str, Meta(description="the domain, as U-labels or A-labels")]


class Addressing(Section, frozen=True):
    """How a local part finds its mailbox."""

    separator: Annotated[
        str, Meta(max_length=1, description='alice+tag goes to alice; "" switches it off')
    ] = "+"


class Mailbox(Section, frozen=True):
    """Where virtual mailboxes are and whose they are."""

    path: Annotated[str, Meta(description="below data_dir; {domain} and {user} are filled in")] = (
        "mail/{domain}/{user}/Maildir"
    )
    owner: Annotated[
        str, Meta(description='user that owns the Maildirs, "" for whom the server runs as')
    ] = ""
    group: Annotated[str, Meta(description='group of the Maildirs, "" for the owner\'s')] = ""
    directory_mode: Annotated[
        str, Meta(pattern="^0?[0-7]{3}$", description="mode of directories, octal")
    ] = "0700"
    file_mode: Annotated[
        str, Meta(pattern="^0?[0-7]{3}$", description="mode of messages, octal")
    ] = "0600"


class Queue(Section, frozen=True):
    """The queue and its patience."""

    lifetime: Annotated[
        Seconds, Meta(description="how long delivery is tried before the bounce")
    ] = _s(7 * 86400)
    bounce_lifetime: Annotated[Seconds, Meta(description="the same for a bounce")] = _s(2 * 86400)
    delay_notice: Annotated[
        Seconds, Meta(description="tell the sender after so long, once (0: never)")
    ] = _s(4 * 3600)
    retry: Annotated[
        tuple[Seconds, ...],
        Meta(
            description="waits between attempts, the last one repeated; empty: qmail's quadratic schedule"
        ),
    ] = ()
    active: Annotated[int, Meta(ge=10, description="entries in memory at once")] = 2000
    local_concurrency: Annotated[int, Meta(ge=1, description="local deliveries at once")] = 100
    remote_concurrency: Annotated[int, Meta(ge=1, description="remote deliveries at once")] = 100
    destination_concurrency: Annotated[
        int, Meta(ge=1, description="deliveries at once to one destination")
    ] = 20
    inline: Annotated[
        Size, Meta(description="content up to here lives in the database, larger in a file")
    ] = Size(64 << 10)
    free_space: Annotated[
        Size, Meta(description="below so much free disk new mail is answered 452")
    ] = Size(100 << 20)


class Outbound(Section, frozen=True):
    """How mail leaves."""

    smarthost: Annotated[str, Meta(description='"" for delivery by MX, else "host:port"')] = ""
    port: Annotated[int, Meta(ge=1, le=65535, description="port of other servers")] = 25
    tls: Annotated[
        Literal["opportunistic", "never"], Meta(description="STARTTLS when offered, or never")
    ] = "opportunistic"
    bind_ipv4: Annotated[
        str, Meta(description='source address for IPv4, "" for the system\'s choice')
    ] = ""
    bind_ipv6: Annotated[
        str, Meta(description='source address for IPv6, "" for the system\'s choice')
    ] = ""
    ipv6: Annotated[bool, Meta(description="use IPv6 at all")] = True
    mx_limit: Annotated[int, Meta(ge=1, description="addresses tried in one attempt")] = 10
    connect_timeout: Annotated[Seconds, Meta(description="for a connection to one address")] = _s(
        30
    )
    banner_timeout: Annotated[
        Seconds, Meta(description="for the banner (RFC 5321 section 4.5.3.2.1)")
    ] = _s(300)
    command_timeout: Annotated[Seconds, Meta(description="for a reply to a command")] = _s(300)
    data_timeout: Annotated[
        Seconds, Meta(description="for the 354, and for progress of each block")
    ] = _s(180)
    final_timeout: Annotated[Seconds, Meta(description="for the reply to the final dot")] = _s(600)
    reuse: Annotated[int, Meta(ge=1, description="messages over one connection")] = 100
    idle: Annotated[
        Seconds, Meta(description="how long an idle connection is kept for the next message")
    ] = _s(5)
    idle_connections: Annotated[
        int, Meta(ge=0, description="idle connections kept at once; one more closes the oldest")
    ] = 100
    quit_timeout: Annotated[
        Seconds, Meta(description="for the reply to QUIT; then the connection is cut")
    ] = _s(5)
    recipients: Annotated[
        int, Meta(ge=1, description="recipients in one transaction; the rest follows in the next")
    ] = 100
    mx_sessions: Annotated[
        int,
        Meta(
            ge=1,
            description="hosts that may answer 4xx in one attempt before it waits for the next",
        ),
    ] = 2
    attempt_timeout: Annotated[
        Seconds, Meta(description="for one attempt with all its hosts; over it: delayed, 4.4.2")
    ] = _s(2 * 3600)
    routes: Annotated[int, Meta(ge=1, description="next hops whose MX are remembered at once")] = (
        1000
    )
    route_age: Annotated[
        Seconds, Meta(description="how long they are remembered, at most; DNS may say less")
    ] = _s(60)
    convert: Annotated[
        Size,
        Meta(
            description="the largest message converted for a server without 8BITMIME; over it: 5.6.3"
        ),
    ] = Size(16 << 20)


class Dns(Section, frozen=True):
    """The resolver."""

    servers: Annotated[
        tuple[str, ...], Meta(description='"address" or "address:port"; empty: /etc/resolv.conf')
    ] = ()
    timeout: Annotated[Seconds, Meta(description="for one look-up with all its tries")] = _s(20)
    records: Annotated[
        int, Meta(ge=10, description="records of one answer that are read; the rest is ignored")
    ] = 100


class Web(Section, frozen=True):
    """Metrics and health."""

    bind: Annotated[tuple[str, ...], Meta(description='"address:port"; empty: none')] = ()


class Local(Section, frozen=True):
    """Mail from programs on this machine, and the command line: the sockets and the drop directory in data_dir."""

    connections: Annotated[
        int, Meta(ge=1, description="sessions at once on each local socket; over it: 421")
    ] = 100
    connections_per_user: Annotated[
        int, Meta(ge=1, description="the same from one user of this machine; over it: 421")
    ] = 20
    request: Annotated[
        Size, Meta(description="octets of a request, the envelope included; over it: 552 5.3.4")
    ] = Size(512 << 10)
    recipients: Annotated[
        int, Meta(ge=1, description="recipients of one message; over it: 554 5.5.3")
    ] = 1000
    header: Annotated[
        Size, Meta(description="octets of a message's header; over it: 552 5.3.4")
    ] = Size(256 << 10)
    text_line: Annotated[
        int,
        Meta(ge=1000, description="octets of a line of a message with CRLF; over it: 554 5.6.0"),
    ] = 16384
    message: Annotated[Size, Meta(description="octets of a message; over it: 552 5.3.4")] = Size(
        50 << 20
    )
    hops: Annotated[
        int, Meta(ge=10, description="Received fields; over it: 554 5.4.6 (RFC 5321 section 6.3)")
    ] = 100
    timeout: Annotated[
        Seconds, Meta(description="silence on a local socket; over it: 421 4.4.2")
    ] = _s(60)
    message_timeout: Annotated[
        Seconds, Meta(description="a whole message on the injection socket; over it: 421 4.4.2")
    ] = _s(3600)
    drop_interval: Annotated[
        Seconds, Meta(description="how often the drop directory is looked at, and at the start")
    ] = _s(60)
    drop_files: Annotated[
        int, Meta(ge=1, description="messages taken out of the drop directory in one look")
    ] = 1000


class JournalSection(Section, frozen=True):
    """The decision record behind `why`."""

    retention: Annotated[Seconds, Meta(description="how long records are kept")] = _s(30 * 86400)
    size: Annotated[Size, Meta(description="the most it may occupy; the oldest go first")] = Size(
        1 << 30
    )
    backlog: Annotated[
        int,
        Meta(
            ge=100,
            description="records waiting to be written; over it they are dropped and counted",
        ),
    ] = 10000


class Log(Section, frozen=True):
    """Log lines on stderr."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="the least that is logged")
    ] = "info"
    json: Annotated[bool, Meta(description="one JSON object per line instead of key=value")] = False
    backlog: Annotated[
        int, Meta(ge=100, description="lines waiting for a slow reader; over it they are dropped")
    ] = 10000


class Config(Section, frozen=True):
    """The whole file. `path` names it; the other paths are absolute after `load`."""

    hostname: Annotated[
        str, Meta(description="our name in HELO, banner and trace: a fully qualified domain name")
    ]
    data_dir: Annotated[
        str, Meta(description="queue, journal and mailboxes; relative to this file")
    ] = "data"
    users: Annotated[
        str, Meta(description="text file of mailboxes and their passwords; relative to this file")
    ] = "users"
    aliases: Annotated[str, Meta(description="text file of aliases; relative to this file")] = (
        "aliases"
    )
    user: Annotated[
        str, Meta(description="started as root, become this user after the ports are bound")
    ] = ""
    group: Annotated[str, Meta(description="and this group; empty: the user's")] = ""
    postmaster: Annotated[
        str,
        Meta(
            description="where postmaster and abuse of every domain go without an entry of their own, and double bounces"
        ),
    ] = ""
    listen: tuple[Listen, ...] = ()
    domain: tuple[Domain, ...] = ()
    addressing: Addressing = Addressing()
    mailbox: Mailbox = Mailbox()
    queue: Queue = Queue()
    outbound: Outbound = Outbound()
    dns: Dns = Dns()
    web: Web = Web()
    local: Local = Local()
    journal: JournalSection = JournalSection()
    log: Log = Log()
    path: str = ""

    @property
    def data(self) -> Path:
        return Path(self.data_dir)

    @property
    def postmaster_address(self) -> Address | None:
        return Address.parse(self.postmaster) if self.postmaster else None

    @property
    def domains(self) -> tuple[str, ...]:
        """The local domains as A-labels, in the order of the file."""
        return tuple(canonical_domain(d.name) for d in self.domain)


class Endpoint(NamedTuple):
    """An address and port to bind or connect to."""

    host: str
    port: int


def endpoint(text: str) -> Endpoint:
    """Read "192.0.2.1:25", "[2001:db8::1]:25" or "host:25"; raise ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is not address:port")
    if host.startswith("[") and host.endswith("]"):
        return Endpoint(str(ipaddress.IPv6Address(host[1:-1])), int(port))
    if ":" in host or not host:
        raise ValueError(f"{text!r} is not address:port; an IPv6 address goes in brackets")
    return Endpoint(host, int(port))


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
        config = msgspec.convert(raw, Config, dec_hook=_quantity, str_keys=True)
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
    )
    _check(config, where)
    return config


def _quantity(kind: type, value: Any) -> Any:
    units = _UNITS[kind]
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"expected a quantity, got {value!r}")
    match = _QUANTITY.fullmatch(str(value))
    if match is None or match[2] not in units:
        known = ", ".join(unit for unit in units if unit)
        raise ValueError(f"{value!r} is not a number with a unit ({known})")
    return kind(float(match[1]) * units[match[2]])


def seconds(text: str) -> Seconds:
    """Read a span of time, "90s" or "4h"; raise ValueError."""
    return Seconds(_quantity(Seconds, text))


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
    if "." not in config.hostname:
        problem = f"{config.hostname!r} is not fully qualified"
        yield "hostname", problem, "give the full name, like mx.example.org"
    if len(set(config.domains)) != len(config.domains):
        yield "domain", "a domain stands twice", ""
    if len({listen.name for listen in config.listen}) != len(config.listen):
        yield "listen", "two listeners have one name", ""
    yield from _shared_mailboxes(config)
    for i, listen in enumerate(config.listen):
        if listen.repair_bare_lf and listen.kind not in ("submission", "submissions"):
            problem = f"not on kind {listen.kind!r}: it would let mail be smuggled in"
            yield f"listen[{i}].repair_bare_lf", problem, "only submission listeners may repair"
        if listen.kind != "mx":
            problem = (
                f"{listen.kind!r} is not available yet: its protection (TLS, AUTH) is not built"
            )
            yield f"listen[{i}].kind", problem, 'use kind = "mx"'


def _shared_mailboxes(config: Config) -> Iterator[tuple[str, str, str]]:
    """A path that would give two mailboxes one directory, or leave where it belongs."""
    path, remedy = config.mailbox.path, "see the default: mail/{domain}/{user}/Maildir"
    if re.search(r"[{}]", path.replace("{domain}", "").replace("{user}", "")):
        yield "mailbox.path", "only {domain} and {user} are filled in", remedy
    if "{user}" not in path or ("{domain}" not in path and len(config.domains) > 1):
        yield "mailbox.path", "several mailboxes would share one directory", remedy
    if ".." in path.split("/"):
        yield "mailbox.path", "goes up with ..", remedy


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
        *(("web.bind", b, endpoint, "") for b in config.web.bind),
        ("postmaster", config.postmaster, Address.parse, ""),
        ("outbound.smarthost", config.outbound.smarthost, endpoint, 'write "host:port"'),
    ]
    for key, text, read, remedy in texts:
        if not text and key in ("postmaster", "outbound.smarthost"):
            continue  # these may be left empty
        try:
            read(text)
        except (AddressError, ValueError) as error:
            yield key, str(error), remedy

"""A command line as a value: one frozen class per verb, or the Reply that refuses it (RFC 5321 §4.1.1).

The grammar is the strict one, with two tolerances that change no meaning: white space before the CRLF (RFC 5321
§4.1.1: receivers SHOULD tolerate it), and one space after `FROM:` or `TO:`, which real clients send. The parser knows
nothing of the dialogue: whether a command may come now, and whether RCPT may use UTF-8 (`Rcpt.utf8` with
the transaction's SMTPUTF8), the session decides. A malformed BDAT leaves the octets that follow it unknown: the session
must end there.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from notqmail.mail.address import Address
from notqmail.mail.envelope import Body, Notify, Ret
from notqmail.mail.errors import AddressError
from notqmail.mail.idn import MAX_DOMAIN, canonical_domain
from notqmail.mail.reply import Reply
from notqmail.smtp import parameters
from notqmail.smtp.path import Path, parse_path
from notqmail.smtp.refused import RefusedError
from notqmail.smtp.xclient import Xclient, parse_xclient

MAX_VERB = 32  # letters

# RFC 6531 §3.5: what RCPT or MAIL is told when it needs SMTPUTF8 and MAIL did not say it
NEEDS_SMTPUTF8 = Reply(553, "5.6.7", "an address beyond ASCII needs the SMTPUTF8 parameter on MAIL")


@dataclass(frozen=True, slots=True)
class Hello:
    """`name` as given, its unprintable characters replaced, cut at 255; `valid` when it is a Domain or an address
    literal of RFC 5321 §4.1.2-3 and not a bare IPv4 address."""

    verb: Literal["EHLO", "HELO", "LHLO"]
    name: str
    valid: bool


@dataclass(frozen=True, slots=True)
class Mail:
    """`sender` None is `<>`; `envid` and `auth` are decoded; `utf8` when the path was not ASCII on the wire."""

    sender: Address | None
    size: int | None = None
    body: Body | None = None
    ret: Ret | None = None
    envid: str | None = None
    smtputf8: bool = False
    requiretls: bool = False
    auth: str | None = None
    utf8: bool = False


@dataclass(frozen=True, slots=True)
class Rcpt:
    """`orcpt` is decoded; `utf8` when path or ORCPT were not ASCII on the wire: refuse it with NEEDS_SMTPUTF8
    unless MAIL said SMTPUTF8."""

    address: Address
    notify: Notify | None = None
    orcpt: str | None = None
    utf8: bool = False


@dataclass(frozen=True, slots=True)
class Data:
    pass


@dataclass(frozen=True, slots=True)
class Bdat:
    """`size` octets follow the line (RFC 3030 §2)."""

    size: int
    last: bool


@dataclass(frozen=True, slots=True)
class Rset:
    pass


@dataclass(frozen=True, slots=True)
class Noop:
    pass


@dataclass(frozen=True, slots=True)
class Quit:
    pass


@dataclass(frozen=True, slots=True)
class Vrfy:
    argument: str


@dataclass(frozen=True, slots=True)
class Expn:
    argument: str


@dataclass(frozen=True, slots=True)
class Help:
    argument: str = ""


@dataclass(frozen=True, slots=True)
class StartTls:
    pass


@dataclass(frozen=True, slots=True)
class Auth:
    """`mechanism` in upper case; `initial` is the initial response as sent, in base64, None when there is none
    (RFC 4954 §4). It may hold a password."""

    mechanism: str
    initial: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Other:
    """A verb this grammar does not know, in upper case: the session decides."""

    verb: str
    argument: str


Command = (
    Hello
    | Mail
    | Rcpt
    | Data
    | Bdat
    | Rset
    | Noop
    | Quit
    | Vrfy
    | Expn
    | Help
    | StartTls
    | Auth
    | Xclient
    | Other
)

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_IPV4 = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
_BDAT = re.compile(rf"([0-9]{{1,{parameters.MAX_DIGITS}}})( LAST)?", re.IGNORECASE | re.ASCII)
_MECHANISM = re.compile(r"[A-Za-z0-9_-]{1,20}")  # RFC 4422 §3.1
_MAIL_EXTENSIONS = {
    "SIZE": "SIZE",
    "BODY": "8BITMIME",
    "RET": "DSN",
    "ENVID": "DSN",
    "SMTPUTF8": "SMTPUTF8",
    "REQUIRETLS": "REQUIRETLS",
    "AUTH": "AUTH",
}
_RCPT_EXTENSIONS = {"NOTIFY": "DSN", "ORCPT": "DSN"}


def parse_command(line: bytes, offered: frozenset[str]) -> Command | Reply:
    """Read a command line without its CRLF. `offered` are the extension keywords of our EHLO reply, in upper
    case. A Reply is the refusal to send."""
    try:
        verb, argument = _split(line)
        parse = _PARSERS.get(verb)
        return Other(verb, argument) if parse is None else parse(argument, offered)
    except RefusedError as refusal:
        return refusal.reply


def _split(line: bytes) -> tuple[str, str]:
    word, _, after = line.partition(b" ")
    word = word.rstrip(b"\t")
    if not word.isalpha() or len(word) > MAX_VERB:
        raise RefusedError(500, "5.5.2", "a command is a word of letters")
    try:
        argument = after.decode().rstrip(" \t")
    except UnicodeDecodeError:
        raise RefusedError(501, "5.5.2", "the command line is not UTF-8") from None
    if not argument.isprintable() and _CONTROL.search(argument):
        raise RefusedError(501, "5.5.2", "the command line has a control character")
    return word.decode().upper(), argument


def _hello(
    verb: Literal["EHLO", "HELO", "LHLO"], argument: str, offered: frozenset[str]
) -> Command:
    if not argument:
        raise RefusedError(501, "5.5.4", f"{verb} needs your host name")
    name = (
        argument
        if argument.isprintable()
        else "".join(c if c.isprintable() else "?" for c in argument)
    )
    return Hello(verb, name.strip()[:MAX_DOMAIN], _host(argument))


def _host(name: str) -> bool:
    """RFC 5321 §4.1.2-3, and §4.1.4: an address stands in brackets. U-labels do not go into EHLO."""
    try:
        if name.startswith("["):
            Address.parse(f"x@{name}")
        else:
            canonical_domain(name)
    except AddressError:
        return False
    return name.isascii() and _IPV4.fullmatch(name) is None


def _path(argument: str, keyword: str, enhanced: str) -> Path:
    at = len(keyword)
    if argument[:at].upper() != keyword:
        raise RefusedError(501, "5.5.2", f"no {keyword} after the verb; use {keyword}<user@domain>")
    return parse_path(argument[at + 1 if argument[at : at + 1] == " " else at :], enhanced)


def _mail(argument: str, offered: frozenset[str]) -> Command | Reply:
    path = _path(argument, "FROM:", "5.1.7")
    sender = path.address
    if sender is not None and not sender.domain:
        raise RefusedError(501, "5.1.7", "the sender has no domain; use <user@domain> or <>")
    if not path.rest:
        if path.utf8:
            return NEEDS_SMTPUTF8
        return Mail(sender)
    found = parameters.parse_parameters(path.rest)
    parameters.require_offered(found, _MAIL_EXTENSIONS, offered)
    value = partial(parameters.value, found)
    mail = Mail(
        sender,
        size=value("SIZE", parameters.size, "1048576"),
        body=value("BODY", parameters.body, "7BIT or 8BITMIME"),
        ret=value("RET", parameters.ret, "FULL or HDRS"),
        envid=value("ENVID", parameters.envid, "xtext"),
        smtputf8=parameters.flag(found, "SMTPUTF8"),
        requiretls=parameters.flag(found, "REQUIRETLS"),
        auth=value("AUTH", parameters.auth, "user@domain in xtext"),
        utf8=path.utf8,
    )
    if mail.body is Body.BINARY and "BINARYMIME" not in offered:
        raise RefusedError(555, "5.5.4", "BODY=BINARYMIME is not supported here")
    return NEEDS_SMTPUTF8 if mail.utf8 and not mail.smtputf8 else mail


def _rcpt(argument: str, offered: frozenset[str]) -> Command:
    path = _path(argument, "TO:", "5.1.3")
    if path.address is None:
        raise RefusedError(501, "5.1.3", "the null path is no recipient; use <user@domain>")
    if not path.rest:
        return Rcpt(path.address, utf8=path.utf8)
    found = parameters.parse_parameters(path.rest)
    parameters.require_offered(found, _RCPT_EXTENSIONS, offered)
    return Rcpt(
        path.address,
        notify=parameters.value(
            found, "NOTIFY", parameters.notify, "NEVER or SUCCESS,FAILURE,DELAY"
        ),
        orcpt=parameters.value(found, "ORCPT", parameters.orcpt, "rfc822;address in xtext"),
        utf8=path.utf8 or not (found.get("ORCPT") or "").isascii(),
    )


def _bdat(argument: str, offered: frozenset[str]) -> Command:
    match = _BDAT.fullmatch(argument)
    if match is None:
        raise RefusedError(501, "5.5.4", "use BDAT size or BDAT size LAST")
    return Bdat(int(match[1]), match[2] is not None)


def _auth(argument: str, offered: frozenset[str]) -> Command:
    mechanism, space, initial = argument.partition(" ")
    if _MECHANISM.fullmatch(mechanism) is None:
        raise RefusedError(501, "5.5.4", "use AUTH mechanism, or AUTH mechanism initial-response")
    return Auth(mechanism.upper(), initial if space else None)


def _xclient(argument: str, offered: frozenset[str]) -> Command:
    """Only who is offered it may say it; to anybody else it is no verb at all."""
    return parse_xclient(argument) if "XCLIENT" in offered else Other("XCLIENT", argument)


def _alone(verb: str, command: Command, argument: str, offered: frozenset[str]) -> Command:
    if argument:
        raise RefusedError(501, "5.5.4", f"{verb} takes no argument")
    return command


def _asking(
    verb: str, make: Callable[[str], Command], argument: str, offered: frozenset[str]
) -> Command:
    if not argument:
        raise RefusedError(501, "5.5.4", f"{verb} needs an argument")
    return make(argument)


_PARSERS: Mapping[str, Callable[[str, frozenset[str]], Command | Reply]] = {
    "EHLO": partial(_hello, "EHLO"),
    "HELO": partial(_hello, "HELO"),
    "LHLO": partial(_hello, "LHLO"),
    "MAIL": _mail,
    "RCPT": _rcpt,
    "DATA": partial(_alone, "DATA", Data()),
    "BDAT": _bdat,
    "RSET": partial(_alone, "RSET", Rset()),
    "NOOP": lambda argument, offered: Noop(),
    "QUIT": partial(_alone, "QUIT", Quit()),
    "VRFY": partial(_asking, "VRFY", Vrfy),
    "EXPN": partial(_asking, "EXPN", Expn),
    "STARTTLS": partial(_alone, "STARTTLS", StartTls()),
    "AUTH": _auth,
    "HELP": lambda argument, offered: Help(argument),
    "XCLIENT": _xclient,
}

"""Dovecot's authentication protocol, version 1, as its clients speak it: lines to values and back, no I/O.

    server  VERSION 1 2 · MECH PLAIN plaintext · SPID … · CUID … · COOKIE … · DONE
    client  VERSION 1 1 · CPID pid
    client  AUTH id PLAIN service=smtp … resp=BASE64      (any number, unanswered at once)
    server  OK id user=… · FAIL id [temp] … · CONT id …

A line is fields between tabs; what would end a field or a line is escaped with 0x01. A command we do not know is passed
over, as the protocol asks (doc.dovecot.org, "Auth Protocol").
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from notqmail.auth.credentials import Credentials
from notqmail.mail.errors import RemoteProtocolError
from notqmail.mail.login import Attempt

MAX_LINE = 8192  # octets, either way: AUTH_CLIENT_MAX_LINE_LENGTH
_ESCAPES = {0: b"\x010", 1: b"\x011", 9: b"\x01t", 10: b"\x01n", 13: b"\x01r"}
_ESCAPED = {escape[1]: bytes([octet]) for octet, escape in _ESCAPES.items()}


@dataclass(frozen=True, slots=True)
class Ready:
    """The handshake is over: requests may be sent."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The password is right. `user` is the name Dovecot gives the account, "" when it gives none."""

    id: int
    user: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The password is wrong, or the account may not log in; `temporary` says that Dovecot could not tell."""

    id: int
    temporary: bool = False


Event = Ready | Accepted | Refused


def greeting(pid: int) -> bytes:
    """Write our side of the handshake; the process id tells connections of one server apart."""
    return b"VERSION\t1\t1\nCPID\t%d\n" % pid


def request(id: int, sent: Credentials, attempt: Attempt) -> bytes:
    """Write a request with SASL PLAIN (RFC 4616); `id` is this connection's own, 32 bits."""
    response = base64.b64encode(b"\0" + sent.user + b"\0" + sent.password)
    fields = [
        *(b"AUTH", b"%d" % id, b"PLAIN", b"service=smtp"),
        b"nologin",  # nobody comes to fetch this login from Dovecot's master socket
        b"no-penalty",  # who fails too often waits with us (auth.ban), not in Dovecot and in our time-out
        b"secured",  # passwords are taken over TLS alone
        *(b"%b=%b" % (key, escape(value.encode())) for key, value in _ends(attempt) if value),
        b"resp=" + response,  # the last one, says the protocol
    ]
    return b"\t".join(fields) + b"\n"


def _ends(attempt: Attempt) -> tuple[tuple[bytes, str], ...]:
    return (b"lip", attempt.local_address), (b"rip", attempt.address)


def cancel(id: int) -> bytes:
    """Write that nobody waits for this answer any longer."""
    return b"CANCEL\t%d\n" % id


def escape(value: bytes) -> bytes:
    """Escape a value for a field."""
    return b"".join(_ESCAPES.get(octet) or bytes([octet]) for octet in value)


def unescape(value: bytes) -> bytes:
    """Undo `escape`; a 0x01 before anything else is dropped, as Dovecot does."""
    first, *others = value.split(b"\x01")
    return first + b"".join(_ESCAPED.get(part[0], part[:1]) + part[1:] for part in others if part)


class Parser:
    """Octets in any pieces to events. Raises RemoteProtocolError for what no Dovecot says; then it is of no more use."""

    def __init__(self) -> None:
        self._rest = b""
        self._version = False
        self._plain = False

    def feed(self, octets: bytes) -> Iterator[Event]:
        """Give what has been said completely with these octets."""
        *lines, self._rest = (self._rest + octets).split(b"\n")
        if any(len(line) > MAX_LINE for line in (*lines, self._rest)):
            raise RemoteProtocolError(f"a line is longer than {MAX_LINE} octets")
        for line in lines:
            if (event := self._read(line.split(b"\t"))) is not None:
                yield event

    def _read(self, fields: list[bytes]) -> Event | None:
        command, *rest = fields
        if not self._version:
            if command != b"VERSION" or rest[:1] != [b"1"]:
                raise RemoteProtocolError("this is no Dovecot authentication server of version 1")
            self._version = True
        if command == b"MECH" and rest[:1] == [b"PLAIN"]:
            self._plain = True
        elif command == b"DONE":
            if not self._plain:
                raise RemoteProtocolError("Dovecot does not offer PLAIN (auth_mechanisms)")
            return Ready()
        elif command in (b"OK", b"FAIL", b"CONT"):
            return _verdict(command, rest)
        return None


def _verdict(command: bytes, rest: list[bytes]) -> Event:
    if not rest or not rest[0].isdigit() or len(rest[0]) > 10:
        raise RemoteProtocolError("an answer without the id of a request")
    id, parameters = int(rest[0]), _parameters(rest[1:])
    if command == b"CONT":  # it wants more than PLAIN has to say
        return Refused(id, temporary=True)
    if command == b"FAIL":
        return Refused(id, "temp" in parameters or parameters.get("code") == "temp_fail")
    if "nologin" in parameters and "proxy" not in parameters:  # the password is right, and yet no
        return Refused(id)
    return Accepted(id, parameters.get("user", ""))


def _parameters(fields: list[bytes]) -> Mapping[str, str]:
    pairs = (field.partition(b"=") for field in fields)
    return {key.decode("utf-8", "replace"): _text(value) for key, _, value in pairs}


def _text(value: bytes) -> str:
    return unescape(value).decode("utf-8", "replace")

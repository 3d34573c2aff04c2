"""What SASL exchanges are made of: what is known when one begins, and its steps.

    exchange.respond(initial response, or None) ──► Challenge ──► exchange.respond(response) ──► … ──► Success, Failure

An exchange sees octets: base64, "*" (the client cancels: 501 5.0.0), the length of a line and time belong to SMTP. The
last word of a SCRAM server is a Challenge too, and the empty response to it brings the Success (RFC 4954 §4).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from notqmail.mail.login import Attempt, Login
from notqmail.ports import Authenticator


class Reason(StrEnum):
    """Why a login came to nothing, and the reply that says it."""

    MALFORMED = "malformed"  # 501 5.5.2: not what the mechanism's grammar allows
    WRONG = "wrong"  # 535 5.7.8: does not prove what it claims; counts as a failed login
    UNSUPPORTED = "unsupported"  # 504 5.5.4: a channel binding that we do not have


@dataclass(frozen=True, slots=True)
class Challenge:
    """334: the client is to answer this."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Success:
    """235."""

    login: Login


@dataclass(frozen=True, slots=True)
class Failure:
    """The exchange is over. `user` is the name that was claimed, if one was read (some 255 octets, printable, not ASCII only);
    `why` is for journal and log, never for the client: it would say whether the name exists."""

    reason: Reason
    user: str = ""
    why: str = ""


Step = Challenge | Success | Failure


class Exchange(Protocol):
    """One attempt to log in. It ends with a Success or a Failure and is not to be used again then."""

    async def respond(self, response: bytes | None) -> Step:
        """Take what the client said: the initial response first, None when there is none (b"" is an empty one, "=").
        Raises AuthUnavailableError (454 4.7.0), and the exchange is over."""
        ...


@dataclass(frozen=True, slots=True)
class Decoy:
    """What SCRAM shows of a name that nobody has: always the same salt, so that it looks like one that somebody has.
    `secret` must survive a restart, else the salts that change are those that are made up."""

    secret: bytes = field(repr=False)
    iterations: int = 4096


@dataclass(frozen=True, slots=True)
class Terms:
    """What a connection brings to an exchange. `offered` is what EHLO said; `bindings` are the acceptable values of
    each channel binding type, several where several certificates could have been shown; `certificate` are the
    addresses in the client's verified certificate; `realm` is the domain of a name without one."""

    accounts: Authenticator
    attempt: Attempt
    offered: tuple[str, ...]
    decoy: Decoy
    nonce: Callable[[], str]  # 18 or more random octets as printable ASCII without a comma
    realm: str = ""
    bindings: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    certificate: Sequence[str] = ()

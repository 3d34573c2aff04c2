"""placeholder"""

from collections.abc import Awaitable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from notqmail.mail.login import Login


class Reason(StrEnum):
    MALFORMED = "malformed"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Challenge:
    octets: bytes


@dataclass(frozen=True, slots=True)
class Success:
    login: Login
    octets: bytes = b""


@dataclass(frozen=True, slots=True)
class Failure:
    reason: Reason


Step = Challenge | Success | Failure


class Exchange(Protocol):
    @property
    def user(self) -> str: ...
    def respond(self, response: bytes | None) -> Step | Awaitable[Step]: ...

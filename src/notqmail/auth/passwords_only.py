"""Sources of accounts that can tell whether a password is right, and nothing else: Dovecot, checkpassword, PAM, the
machine's users. What they lack of the port is said here, once."""

from collections.abc import Sequence
from typing import Protocol

from notqmail.mail.login import Attempt, Login, ScramAccount

MECHANISMS = frozenset({"PLAIN", "LOGIN"})


class PasswordSource(Protocol):
    """The part of ports.Authenticator that such a source has."""

    async def password(self, user: str, password: str, attempt: Attempt) -> Login | None: ...
    async def close(self) -> None: ...


class PasswordsOnly:
    """ports.Authenticator over a source that knows passwords only."""

    mechanisms = MECHANISMS

    def __init__(self, source: PasswordSource) -> None:
        self.password, self.close = source.password, source.close

    async def scram(self, mechanism: str, user: str, attempt: Attempt) -> ScramAccount | None:
        """It has no keys."""
        return None

    async def certificate(self, names: Sequence[str], user: str, attempt: Attempt) -> Login | None:
        """It knows no certificates."""
        return None

    async def used(self, login: Login, attempt: Attempt, at: float) -> None:
        """It has seen the login itself."""

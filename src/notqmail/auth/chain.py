"""Several sources of accounts as one."""

from collections.abc import Sequence

from notqmail.mail.errors import AuthUnavailableError
from notqmail.mail.login import Attempt, Login, ScramAccount
from notqmail.ports import Authenticator


class Chain:
    """ports.Authenticator over others, in order. It serves what all of them serve, so that no account is shut out of
    a mechanism that is offered. While one cannot tell, the others may still say yes; none of them may say no."""

    def __init__(self, sources: Sequence[Authenticator]) -> None:
        self._sources = tuple(sources)

    @property
    def mechanisms(self) -> frozenset[str]:
        return frozenset.intersection(*(source.mechanisms for source in self._sources))

    async def password(self, user: str, password: str, attempt: Attempt) -> Login | None:
        unavailable: AuthUnavailableError | None = None
        for source in self._sources:
            try:
                login = await source.password(user, password, attempt)
            except AuthUnavailableError as error:
                unavailable = unavailable or error
                continue
            if login is not None:
                return login
        if unavailable is not None:
            raise unavailable
        return None

    async def scram(self, mechanism: str, user: str, attempt: Attempt) -> ScramAccount | None:
        for source in self._sources:
            account = await source.scram(mechanism, user, attempt)
            if account is not None:
                return account
        return None

    async def certificate(self, names: Sequence[str], user: str, attempt: Attempt) -> Login | None:
        for source in self._sources:
            login = await source.certificate(names, user, attempt)
            if login is not None:
                return login
        return None

    async def used(self, login: Login, attempt: Attempt, at: float) -> None:
        for source in self._sources:
            await source.used(login, attempt, at)

    async def close(self) -> None:
        for source in self._sources:
            await source.close()

"""Accounts that are values, for whoever asks an Authenticator."""

from collections.abc import Mapping, Sequence

from notqmail.auth.scram_keys import HASHES, derive
from notqmail.mail.address import Address
from notqmail.mail.errors import AuthUnavailableError
from notqmail.mail.login import Attempt, Login, ScramAccount, ScramKeys

ATTEMPT = Attempt("192.0.2.7")
SALT = b"sixteen octets.."


class Accounts:
    """ports.Authenticator. `passwords` are those of each address, by label ("" is the main one); while `away` it
    cannot tell. `asked` are the names it was asked for; `uses` what it was told of."""

    def __init__(
        self,
        passwords: Mapping[str, Mapping[str, str]],
        mechanisms: Sequence[str] = ("PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-1", "EXTERNAL"),
    ) -> None:
        self._passwords, self.mechanisms = passwords, frozenset(mechanisms)
        self.away = self.closed = False
        self.asked: list[str] = []
        self.uses: list[Login] = []

    async def password(self, user: str, password: str, attempt: Attempt) -> Login | None:
        for label, known in self._known(user).items():
            if known == password:
                return _login(user, label)
        return None

    async def scram(self, mechanism: str, user: str, attempt: Attempt) -> ScramAccount | None:
        known = self._known(user)
        if not known:
            return None
        keys = {label: derive(HASHES[mechanism], each, SALT, 4096) for label, each in known.items()}
        return ScramAccount(
            SALT,
            4096,
            tuple(
                ScramKeys(each.stored_key, each.server_key, _login(user, label))
                for label, each in keys.items()
            ),
        )

    async def certificate(self, names: Sequence[str], user: str, attempt: Attempt) -> Login | None:
        chosen = user or names[0]
        return _login(chosen, "") if self._known(chosen) and chosen in names else None

    async def used(self, login: Login, attempt: Attempt, at: float) -> None:
        self.uses.append(login)

    async def close(self) -> None:
        self.closed = True

    def _known(self, user: str) -> Mapping[str, str]:
        self.asked.append(user)
        if self.away:
            raise AuthUnavailableError("away")
        return self._passwords.get(user, {})


def _login(user: str, label: str) -> Login:
    return Login(user, Address.parse(user), label=label)

"""Accounts of the machine: the people of /etc/passwd with their passwords of /etc/shadow (see system/shadow.py).

Who may read those is root, so the spawn helper looks, and says yes or no.
"""

from notqmail.auth.credentials import Credentials, bare_name, login_of
from notqmail.config import System
from notqmail.mail.errors import AuthUnavailableError
from notqmail.mail.login import Attempt, Login
from notqmail.system.gate import Gate
from notqmail.system.spawn import SYSTEM
from notqmail.system.spawn_client import Helper, words


class SystemAuthenticator:
    """passwords_only.PasswordSource. `realm` is our domain: alice may log in as "alice" and as "alice@REALM"."""

    def __init__(
        self, config: System, realm: str, helper: Helper, checks: int, waiting: int
    ) -> None:
        self._timeout, self._realm, self._helper = config.timeout, realm, helper
        self._gate = Gate(checks, waiting, "system users")

    async def password(self, user: str, password: str, attempt: Attempt) -> Login | None:
        name = bare_name(user, self._realm)
        if (sent := Credentials.of(name, password)) is None:
            return None
        body = sent.user + b"\0" + sent.password + b"\0"
        status = await self._gate.run(lambda: self._helper.ask(SYSTEM, body), 2 * self._timeout)
        if status == 0:
            return login_of(name, self._realm)
        if status == 1:
            return None
        raise AuthUnavailableError(f"the check of a system user's password {words(status)}")

    async def close(self) -> None:
        """Nothing: the helper is not ours."""

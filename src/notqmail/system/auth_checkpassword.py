"""Accounts behind a checkpassword program, qmail's interface (cr.yp.to/checkpwd/interface.html)."""

from notqmail.auth.credentials import Credentials, login_of
from notqmail.config import Checkpassword
from notqmail.mail.errors import AuthUnavailableError
from notqmail.mail.login import Attempt, Login
from notqmail.system.gate import Gate
from notqmail.system.spawn import CHECKPASSWORD, MAX_SECRETS
from notqmail.system.spawn_client import Helper, words


class CheckpasswordAuthenticator:
    """passwords_only.PasswordSource. The program gets the name as it was sent; `realm` completes an address of a bare one."""

    def __init__(self, config: Checkpassword, realm: str, helper: Helper, waiting: int) -> None:
        self._timeout, self._realm, self._helper = config.timeout, realm, helper
        self._gate = Gate(config.processes, waiting, "checkpassword")

    async def password(self, user: str, password: str, attempt: Attempt) -> Login | None:
        if (sent := Credentials.of(user, password)) is None:
            return None
        # The third field is a time stamp for POP3 and a challenge for CRAM-MD5; with something in it, programs that know
        # both take the password for a digest.
        secrets = sent.user + b"\0" + sent.password + b"\0" + b"\0"
        if len(secrets) > MAX_SECRETS:
            return None
        ends = f"{attempt.address}\0{attempt.local_address}\0".encode("ascii", "ignore")
        # its own time-out comes first and says more; ours is for the wait before it
        status = await self._gate.run(
            lambda: self._helper.ask(CHECKPASSWORD, ends + secrets), 2 * self._timeout
        )
        if status == 0:
            return login_of(user, self._realm)
        if status == 1:
            return None
        raise AuthUnavailableError(f"the checkpassword program {words(status)}")

    async def close(self) -> None:
        """Nothing: the helper is not ours."""

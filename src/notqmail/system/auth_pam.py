"""Accounts of PAM, through python-pam (the extra `notqmail[pam]`).

A PAM conversation blocks and cannot be stopped: each is a thread of its own, and one that hangs keeps its place until it
ends. The server asks with the rights it has, which after its start are an ordinary user's: modules that ask a service
(LDAP, sssd, RADIUS) work so, pam_unix does not, since it needs root for anybody else's password; the source "system"
is for that.
"""

import asyncio
import importlib
import pwd
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from notqmail.auth.credentials import Credentials, bare_name, login_of
from notqmail.config import Pam
from notqmail.mail.errors import AuthUnavailableError, ConfigError
from notqmail.mail.login import Attempt, Login
from notqmail.system.gate import Gate

# security/_pam_types.h: what a wrong name, a wrong password and an account that may not log in come back as
_NO = frozenset({
    6,  # PERM_DENIED
    7,  # AUTH_ERR
    10,  # USER_UNKNOWN
    11,  # MAXTRIES
    12,  # NEW_AUTHTOK_REQD: must be changed first, which cannot be done here
    13,  # ACCT_EXPIRED
    16,  # CRED_EXPIRED
    27,  # AUTHTOK_EXPIRED
})  # fmt: skip


class Conversation(Protocol):
    """What we use of pam.PamAuthenticator."""

    code: int

    def authenticate(
        self,
        username: bytes,
        password: bytes,
        service: bytes,
        *,
        encoding: str,
        resetcreds: bool,
    ) -> bool: ...


def python_pam(
    find: Callable[[str], Any] = importlib.import_module,
) -> Callable[[], Conversation]:
    """Find the library, which finds libpam; blocks. Raises ConfigError."""
    try:
        library = find("pam")
        library.PamAuthenticator()
    except ImportError:
        raise ConfigError(
            "auth.sources", '"pam" needs the package python-pam', "pip install notqmail[pam]"
        ) from None
    except (OSError, AttributeError):
        raise ConfigError(
            "auth.sources", '"pam" needs libpam', "install it: apt-get install libpam0g"
        ) from None
    conversation: Callable[[], Conversation] = library.PamAuthenticator
    return conversation


def user_id(name: str) -> int | None:
    """Give the user id of a name, None when it has none here; may block on the user database."""
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):
        return None


class PamAuthenticator:
    """passwords_only.PasswordSource. `realm` is our domain: alice may log in as "alice" and as "alice@REALM". Nobody logs in as
    root, whatever PAM says."""

    def __init__(
        self,
        config: Pam,
        realm: str,
        waiting: int,
        conversation: Callable[[], Conversation] | None = None,
        uid_of: Callable[[str], int | None] = user_id,
    ) -> None:
        """Raises ConfigError when PAM is not there; blocks."""
        self._conversation = conversation or python_pam()
        self._config, self._realm, self._uid_of = config, realm, uid_of
        self._gate = Gate(config.threads, waiting, "PAM")

    async def password(self, user: str, password: str, attempt: Attempt) -> Login | None:
        name = bare_name(user, self._realm)
        if (sent := Credentials.of(name, password)) is None:
            return None
        code = await self._gate.run(
            lambda: _in_thread(lambda: self._ask(name, sent)), self._config.timeout
        )
        if code == 0:
            return login_of(name, self._realm)
        if code in _NO:
            return None
        raise AuthUnavailableError(f"PAM cannot tell now (code {code}); the system's log says why")

    def _ask(self, name: str, sent: Credentials) -> int:
        """In a thread: give PAM's code."""
        if self._uid_of(name) == 0:
            return 7
        conversation = self._conversation()
        conversation.authenticate(
            sent.user,
            sent.password,
            self._config.service.encode(),
            encoding="latin-1",  # of what modules say: nothing in it can be an error
            resetcreds=False,  # nobody's session begins here
        )
        return conversation.code

    async def close(self) -> None:
        """Nothing: a conversation that still runs ends with the process at the latest."""


def _in_thread(function: Callable[[], int]) -> "asyncio.Future[int]":
    """Run in a thread that does not keep the process from ending. What it raises, the future does, as
    AuthUnavailableError without words: they are a library's, and could hold a secret."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[int] = loop.create_future()

    def finish(code: int | None) -> None:
        if future.done():
            return
        if code is None:
            future.set_exception(AuthUnavailableError("PAM failed"))
        else:
            future.set_result(code)

    def run() -> None:
        code: int | None = None
        with suppress(Exception):
            code = function()
        with suppress(RuntimeError):  # the loop has ended before
            loop.call_soon_threadsafe(finish, code)

    try:
        threading.Thread(target=run, name="pam", daemon=True).start()
    except RuntimeError:  # no threads left
        finish(None)
    return future

"""Where accounts are: the sources that the configuration names, opened and put in a row."""

import asyncio
from collections.abc import Callable, Sequence

from notqmail.app.doors import realm
from notqmail.app.world import Later
from notqmail.auth.chain import Chain
from notqmail.auth.passwords_only import PasswordsOnly
from notqmail.config import SUBMISSION, Config
from notqmail.config.auth import Source
from notqmail.ports import Authenticator, Directory
from notqmail.system.accounts import TextDirectory
from notqmail.system.accounts_text import Account
from notqmail.system.app_passwords_text import AppPassword
from notqmail.system.auth_checkpassword import CheckpasswordAuthenticator
from notqmail.system.auth_dovecot import DovecotAuthenticator
from notqmail.system.auth_pam import PamAuthenticator
from notqmail.system.auth_system import SystemAuthenticator
from notqmail.system.auth_users import UserAccounts
from notqmail.system.gate import PoolGate
from notqmail.system.last_use import NAME as USED
from notqmail.system.last_use import LastUse
from notqmail.system.offload import ThreadPool
from notqmail.system.spawn_client import Helper


def anybody_logs_in(config: Config) -> bool:
    """Say whether there is a door for our own people."""
    return any(listen.kind in SUBMISSION for listen in config.listen)


async def open_accounts(
    config: Config, directory: Callable[[], Directory], helper: Helper | None, later: Later
) -> Authenticator:
    """Open them; `directory` gives the files in force, `helper` runs programs. Raises ConfigError."""
    opened = [
        await _open(source, config, directory, helper, later) for source in config.auth.sources
    ]
    accounts = Chain(opened)
    later(accounts.close)
    return accounts


async def _open(
    source: Source,
    config: Config,
    directory: Callable[[], Directory],
    helper: Helper | None,
    later: Later,
) -> Authenticator:
    auth, domain = config.auth, realm(config)
    match source:
        case "users":
            pool = ThreadPool(auth.checks + 1, name="auth")
            later(pool.close)
            gate = PoolGate(pool, auth.checks, auth.waiting, "passwords")
            last_use = LastUse(config.data / USED, pool)
            return UserAccounts(InForce(directory), domain, gate, last_use, auth.argon2)
        case "dovecot":
            return PasswordsOnly(DovecotAuthenticator(auth.dovecot, domain, auth.waiting))
        case "pam":
            pam = await asyncio.to_thread(PamAuthenticator, auth.pam, domain, auth.waiting)
            return PasswordsOnly(pam)
        case "checkpassword":
            assert helper is not None  # it was started, because this source is named
            return PasswordsOnly(
                CheckpasswordAuthenticator(auth.checkpassword, domain, helper, auth.waiting)
            )
        case "system":
            assert helper is not None
            return PasswordsOnly(
                SystemAuthenticator(auth.system, domain, helper, auth.checks, auth.waiting)
            )


class InForce:
    """auth_users.Table: the accounts in the files that are in force now; a reload may name others."""

    def __init__(self, directory: Callable[[], Directory]) -> None:
        self._directory = directory

    def account(self, local: str, domain: str) -> Account | None:
        return self._files().account(local, domain)

    def app_passwords(self, local: str, domain: str) -> Sequence[AppPassword]:
        return self._files().app_passwords(local, domain)

    def _files(self) -> TextDirectory:
        directory = self._directory()
        assert isinstance(directory, TextDirectory)
        return directory

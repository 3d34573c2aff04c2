"""Our own accounts as a source of logins: the users file and the app passwords file.

A wrong name and a wrong password cost the same: one HMAC, and one argon2 in the pool. Where the account is not there
or has no password of its own, a decoy is verified. A right app password is known by its HMAC alone, on the event loop,
so it needs no turn at the gate: strangers who try passwords keep nobody's phone from sending.
"""

import hmac
from collections.abc import Sequence
from typing import Protocol

from notqmail.auth.login_name import mailbox
from notqmail.auth.saslprep import prepare
from notqmail.config import Argon2
from notqmail.mail.address import Address
from notqmail.mail.login import Attempt, Login, ScramAccount, ScramKeys
from notqmail.system import passwords, scram_text
from notqmail.system.accounts_text import Account
from notqmail.system.app_passwords_text import AppPassword, hash_of
from notqmail.system.gate import PoolGate
from notqmail.system.last_use import LastUse
from notqmail.system.scram_text import ScramText

MECHANISMS = frozenset({"PLAIN", "LOGIN", "SCRAM-SHA-256", "EXTERNAL"})
_NO_SALT = b"\0" * 16


class Table(Protocol):
    """What is read of the files; `local` is an Address.fold."""

    def account(self, local: str, domain: str) -> Account | None: ...
    def app_passwords(self, local: str, domain: str) -> Sequence[AppPassword]: ...


class UserAccounts:
    """ports.Authenticator. A name is an address, or a local part of `realm` (an A-label)."""

    mechanisms = MECHANISMS

    def __init__(
        self, table: Table, realm: str, gate: PoolGate, last_use: LastUse, cost: Argon2
    ) -> None:
        self._table, self._realm, self._gate, self._last_use = table, realm, gate, last_use
        self._decoy = passwords.decoy(cost)

    async def password(self, user: str, password: str, attempt: Attempt) -> Login | None:
        try:
            prepared = prepare(password)
        except ValueError:  # nobody's password, whoever it is tried for
            return None
        account, app = self._find(user)
        chosen = fitting(prepared, app)
        if chosen is not None and chosen.permits(attempt):
            return _login(chosen)
        argon2 = account.argon2 if account is not None else ""
        right = await self._gate.run(passwords.verify, prepared, argon2 or self._decoy)
        return _main_login(account) if account is not None and argon2 and right else None

    async def scram(self, mechanism: str, user: str, attempt: Attempt) -> ScramAccount | None:
        account, app = self._find(user)
        if account is None or mechanism not in MECHANISMS:
            return None
        main = scram_text.read(account.scram)
        like = shared(main, app)
        if like is None:
            return None
        keys = [] if main is None else [_keys(main, _main_login(account))]
        keys += [
            _keys(each.scram, _login(each))
            for each in app
            if each.permits(attempt) and same_salt(each.scram, like)
        ]
        return ScramAccount(like.salt, like.iterations, tuple(keys))

    async def certificate(self, names: Sequence[str], user: str, attempt: Attempt) -> Login | None:
        certified = [address for name in names if (address := mailbox(name, "")) is not None]
        wanted = mailbox(user, self._realm) if user else None
        for address in certified:
            account = self._table.account(address.fold, address.domain)
            if account is not None and (not user or _same(wanted, address)):
                return _main_login(account)
        return None

    async def used(self, login: Login, attempt: Attempt, at: float) -> None:
        if login.label and login.address is not None:
            for each in self._table.app_passwords(login.address.fold, login.address.domain):
                if each.label == login.label:
                    await self._last_use.note(each.id, at)

    async def close(self) -> None:
        """Nothing is held open."""

    def _find(self, user: str) -> tuple[Account | None, Sequence[AppPassword]]:
        address = mailbox(user, self._realm)
        account = None if address is None else self._table.account(address.fold, address.domain)
        if account is None:
            return None, ()
        return account, self._table.app_passwords(account.address.fold, account.address.domain)


def fitting(prepared: str, app: Sequence[AppPassword]) -> AppPassword | None:
    """Find the app password that this is: one HMAC for each salt, which is one in all, or for none."""
    hashes = {salt: hash_of(prepared, salt) for salt in {each.scram.salt for each in app}}
    if not hashes:
        hash_of(prepared, _NO_SALT)
    found = None
    for each in app:  # all of them: how long it takes does not say which
        if hmac.compare_digest(hashes[each.scram.salt], each.hash):
            found = each
    return found


def shared(main: ScramText | None, app: Sequence[AppPassword]) -> ScramText | None:
    """Give the keys whose salt and iterations all passwords of an account have: the main one's, or the first's."""
    return main or next((each.scram for each in app), None)


def same_salt(one: ScramText, other: ScramText) -> bool:
    """Say whether two passwords can be told apart by SCRAM alone, having salt and iterations in common."""
    return (one.salt, one.iterations) == (other.salt, other.iterations)


def _same(one: Address | None, other: Address) -> bool:
    return one is not None and (one.fold, one.domain) == (other.fold, other.domain)


def _keys(kept: ScramText, login: Login) -> ScramKeys:
    return ScramKeys(kept.stored_key, kept.server_key, login)


def _main_login(account: Account) -> Login:
    return Login(str(account.address), account.address)


def _login(app: AppPassword) -> Login:
    return Login(str(app.address), app.address, label=app.label, only_from=app.only_from)

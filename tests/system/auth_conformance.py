"""What every source of accounts must do that is not our own file. A test module inherits AuthenticatorConformance and
gives the fixture `backend`: a source whose accounts are ACCOUNTS, and what its tests need to do with it.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from notqmail.auth.passwords_only import PasswordSource
from notqmail.mail.errors import AuthUnavailableError
from notqmail.mail.login import Attempt

REALM = "example.org"
SECRET = "пароль sésame:\t1"
ACCOUNTS = {"alice": SECRET, "bob": "0"}
ATTEMPT = Attempt("2001:db8::7", "192.0.2.1")


@dataclass(frozen=True, slots=True)
class Backend:
    """`source` is tested. `seen` gives the names that what is behind it was asked about; `away` makes it unable to tell."""

    source: PasswordSource
    seen: Callable[[], Sequence[bytes]]
    away: Callable[[], None]


class AuthenticatorConformance:
    """The common behaviour."""

    @pytest.mark.parametrize("user", ACCOUNTS)
    async def test_right_password_gives_the_login(self, backend: Backend, user: str) -> None:
        login = await backend.source.password(user, ACCOUNTS[user], ATTEMPT)

        assert login is not None
        assert login.account == user
        assert str(login.address) == f"{user}@{REALM}"

    @pytest.mark.parametrize(
        ("user", "password"),
        [
            ("alice", "wrong"),
            ("alice", SECRET + "1"),
            ("alice", SECRET[:-1]),
            ("alice", ACCOUNTS["bob"]),
            ("nobody.here", SECRET),
            ("alice ", SECRET),
            (" alice", SECRET),
            ("alice@elsewhere.test", SECRET),
        ],
    )
    async def test_wrong_name_or_password_gives_nothing(
        self, backend: Backend, user: str, password: str
    ) -> None:
        assert await backend.source.password(user, password, ATTEMPT) is None

    @pytest.mark.parametrize(
        ("user", "password"),
        [
            ("", SECRET),
            ("alice", ""),
            ("alice", "a\0b"),
            ("alice", SECRET + "\0"),
            ("alice\0", SECRET),
            ("alice\n", SECRET),
            ("alice\tresp=", SECRET),
            ("ali\x01ce", SECRET),
            ("\x85", SECRET),
            ("alice", "\udcff"),
            ("\udcff", SECRET),
            ("alice", "x" * (1 << 20)),
            ("alice", "я" * 1000),
            ("x" * (1 << 20), SECRET),
            ("я" * 200, SECRET),
        ],
        ids=lambda value: ascii(value[:20]),
    )
    async def test_what_no_account_can_have_is_refused_without_asking(
        self, backend: Backend, user: str, password: str
    ) -> None:
        assert await backend.source.password(user, password, ATTEMPT) is None

        assert not backend.seen()

    @pytest.mark.parametrize(
        "password", ["\n", "a\nb", "a\r\nb\n", "\x01", "'; exit 0; '", "$(true)"]
    )
    async def test_odd_password_is_a_wrong_password(self, backend: Backend, password: str) -> None:
        assert await backend.source.password("alice", password, ATTEMPT) is None

        assert await backend.source.password("alice", SECRET, ATTEMPT) is not None

    @pytest.mark.parametrize("user", ["-rf", "--help", "a:b", "a/../b", "*", "%u", "root", "ä"])
    async def test_odd_name_is_a_wrong_name(self, backend: Backend, user: str) -> None:
        assert await backend.source.password(user, SECRET, ATTEMPT) is None

        assert await backend.source.password("alice", SECRET, ATTEMPT) is not None

    async def test_many_at_once_each_get_their_own_answer(self, backend: Backend) -> None:
        asked = [("alice", SECRET), ("alice", "wrong"), ("bob", "0"), ("carol", "0")] * 4

        logins = await asyncio.gather(
            *(backend.source.password(user, password, ATTEMPT) for user, password in asked)
        )

        assert [login and login.account for login in logins] == ["alice", None, "bob", None] * 4

    async def test_what_cannot_tell_is_neither_yes_nor_no(self, backend: Backend) -> None:
        backend.away()

        with pytest.raises(AuthUnavailableError):
            await backend.source.password("alice", SECRET, ATTEMPT)
        with pytest.raises(AuthUnavailableError):
            await backend.source.password("nobody.here", SECRET, ATTEMPT)

    async def test_secret_is_in_no_log_line_and_no_error(
        self, backend: Backend, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        secret = "open-sesame"

        await backend.source.password("alice", secret, ATTEMPT)
        backend.away()
        with pytest.raises(AuthUnavailableError) as raised:
            await backend.source.password("alice", secret, ATTEMPT)

        assert secret not in caplog.text + str(raised.value) + repr(raised.value)
        assert secret not in repr(backend.source)

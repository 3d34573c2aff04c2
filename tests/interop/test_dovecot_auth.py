"""Logins against a real Dovecot, set up as docs/how-to/dovecot-login.md says."""

import asyncio
import re
import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from notqmail.config import Auth, parse
from notqmail.mail.errors import AuthUnavailableError
from notqmail.mail.login import Attempt, Login
from notqmail.system.auth_dovecot import DovecotAuthenticator
from tests.support import dovecot
from tests.support.dovecot import Dovecot
from tests.support.programs import ROOT

pytestmark = pytest.mark.interop

PAGE = (ROOT / "docs" / "how-to" / "dovecot-login.md").read_text("utf-8")
ATTEMPT = Attempt("127.0.0.1", "127.0.0.1")
REALM = "example.org"
ACCOUNTS = {
    "alice@example.org": "sesame",
    "дима@example.org": "пароль",
    "bob": "builder",
    "carol@example.org": "sesame\tnologin=y",
    "dave@example.org": "sesame\tallow_nets=192.0.2.0/24",
    "tabs@example.org": "se same\\'\"$(id)",
}


def block(language: str) -> str:
    """Give the page's one code block in a language."""
    [text] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(text)


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    theirs = block("conf").replace("unix_listener notqmail", "unix_listener {socket}")
    theirs = theirs.replace("user = notqmail", "user = root")  # there need not be such a user here
    with dovecot.running(ACCOUNTS, f"{theirs}auth_username_chars =\n") as server:
        yield server


@pytest.fixture(scope="module")
def settings(server: Dovecot) -> Auth:
    ours = block("toml").replace("/run/dovecot/notqmail", str(server.socket))
    read = parse({"hostname": "mx.example.org", **tomllib.loads(ours)}, Path("notqmail.toml"))
    assert read.auth.sources == ("dovecot",)
    return read.auth


@pytest.fixture
async def source(settings: Auth) -> AsyncIterator[DovecotAuthenticator]:
    source = DovecotAuthenticator(settings.dovecot, REALM, settings.waiting)
    yield source
    await source.close()


@pytest.mark.parametrize(
    ("user", "password", "account", "address"),
    [
        ("alice@example.org", "sesame", "alice@example.org", "alice@example.org"),
        ("ALICE@example.org", "sesame", "alice@example.org", "alice@example.org"),
        ("дима@example.org", "пароль", "дима@example.org", "дима@example.org"),
        ("bob", "builder", "bob", "bob@example.org"),
        ("tabs@example.org", "se same\\'\"$(id)", "tabs@example.org", "tabs@example.org"),
    ],
)
async def test_right_password_gives_the_account_as_dovecot_writes_it(
    source: DovecotAuthenticator, user: str, password: str, account: str, address: str
) -> None:
    login = await source.password(user, password, ATTEMPT)

    assert isinstance(login, Login)
    assert (login.account, str(login.address)) == (account, address)


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("alice@example.org", "wrong"),
        ("alice@example.org", "a\nb\tc"),
        ("alice@example.org", "x" * 1024),
        ("nobody@example.org", "sesame"),
        ("%u", "sesame"),
        ("../users", "sesame"),
        ("x" * 254, "x" * 1024),
        ("carol@example.org", "sesame"),
        ("dave@example.org", "sesame"),
    ],
)
async def test_wrong_or_disabled_is_refused_and_the_connection_stays(
    server: Dovecot, source: DovecotAuthenticator, user: str, password: str
) -> None:
    before = server.log

    assert await source.password(user, password, ATTEMPT) is None

    assert await source.password("alice@example.org", "sesame", ATTEMPT)
    assert "BUG" not in server.log.removeprefix(before)


async def test_many_logins_at_once_get_their_own_answers(source: DovecotAuthenticator) -> None:
    asked = [("alice@example.org", "sesame"), ("bob", "builder"), ("bob", "wrong")] * 30

    logins = await asyncio.gather(*(source.password(*each, ATTEMPT) for each in asked))

    assert [login and login.account for login in logins] == ["alice@example.org", "bob", None] * 30


async def test_dovecot_may_be_killed_and_started_again(
    server: Dovecot, source: DovecotAuthenticator
) -> None:
    assert await source.password("bob", "builder", ATTEMPT)

    await asyncio.to_thread(server.kill)
    with pytest.raises(AuthUnavailableError):
        await source.password("bob", "builder", ATTEMPT)
    await asyncio.to_thread(server.start)

    assert await source.password("bob", "builder", ATTEMPT)


async def test_dovecot_that_ends_while_it_is_asked_is_neither_yes_nor_no(
    server: Dovecot, source: DovecotAuthenticator
) -> None:
    assert await source.password("bob", "builder", ATTEMPT)
    server.pause()
    logins = [asyncio.create_task(source.password("bob", "builder", ATTEMPT)) for _ in range(5)]
    await asyncio.sleep(0)

    await asyncio.to_thread(server.kill)
    told = await asyncio.gather(*logins, return_exceptions=True)
    await asyncio.to_thread(server.start)

    assert all(isinstance(each, AuthUnavailableError) for each in told), told
    assert await source.password("bob", "builder", ATTEMPT)

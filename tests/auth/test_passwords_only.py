"""A source that knows passwords only, as an Authenticator."""

from notqmail.auth.passwords_only import MECHANISMS, PasswordsOnly
from notqmail.ports import Authenticator
from tests.support.logins import ATTEMPT, Accounts

ALICE = "alice@example.org"


async def test_passwords_are_asked_for_and_nothing_else_is_served() -> None:
    behind = Accounts({ALICE: {"": "sesame"}})
    source: Authenticator = PasswordsOnly(behind)

    login = await source.password(ALICE, "sesame", ATTEMPT)

    assert login is not None
    assert login.account == ALICE
    assert source.mechanisms == MECHANISMS == {"PLAIN", "LOGIN"}
    assert await source.scram("SCRAM-SHA-256", ALICE, ATTEMPT) is None
    assert await source.certificate([ALICE], "", ATTEMPT) is None
    await source.used(login, ATTEMPT, 0.0)
    assert behind.uses == []


async def test_it_is_closed_with_its_source() -> None:
    behind = Accounts({})

    await PasswordsOnly(behind).close()

    assert behind.closed

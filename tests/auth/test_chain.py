import pytest

from notqmail.auth.chain import Chain
from notqmail.mail.errors import AuthUnavailableError
from notqmail.mail.login import Login
from tests.support.logins import ATTEMPT, Accounts

ALICE, BOB = "alice@example.org", "bob@example.org"


def two() -> tuple[Accounts, Accounts, Chain]:
    one = Accounts({ALICE: {"": "a"}})
    other = Accounts({ALICE: {"": "another"}, BOB: {"": "b"}}, ("PLAIN", "SCRAM-SHA-256"))
    return one, other, Chain([one, other])


def test_a_mechanism_is_served_when_all_can() -> None:
    assert two()[2].mechanisms == {"PLAIN", "SCRAM-SHA-256"}


async def test_a_password_is_tried_in_order() -> None:
    _, other, chain = two()

    assert await chain.password(ALICE, "a", ATTEMPT) is not None
    assert not other.asked
    assert await chain.password(ALICE, "another", ATTEMPT) is not None
    assert await chain.password(BOB, "b", ATTEMPT) is not None
    assert await chain.password(BOB, "a", ATTEMPT) is None


async def test_a_source_that_is_away_can_only_be_made_up_for_by_a_yes() -> None:
    one, _, chain = two()
    one.away = True

    assert await chain.password(BOB, "b", ATTEMPT) is not None
    with pytest.raises(AuthUnavailableError):
        await chain.password(BOB, "wrong", ATTEMPT)
    with pytest.raises(AuthUnavailableError):
        await chain.scram("SCRAM-SHA-256", BOB, ATTEMPT)


async def test_scram_is_with_the_first_that_knows_the_name() -> None:
    _, other, chain = two()

    first = await chain.scram("SCRAM-SHA-256", ALICE, ATTEMPT)
    assert not other.asked
    second = await chain.scram("SCRAM-SHA-256", BOB, ATTEMPT)

    assert first is not None
    assert second is not None
    assert second.keys[0].login.account == BOB
    assert await chain.scram("SCRAM-SHA-256", "x@example.org", ATTEMPT) is None


async def test_a_certificate_is_for_the_first_that_knows_the_name() -> None:
    _, _, chain = two()

    assert await chain.certificate((BOB,), "", ATTEMPT) is not None
    assert await chain.certificate((BOB,), ALICE, ATTEMPT) is None


async def test_all_are_told_and_closed() -> None:
    one, other, chain = two()
    login = Login(ALICE)

    await chain.used(login, ATTEMPT, 0)
    await chain.close()

    assert one.uses == other.uses == [login]
    assert one.closed
    assert other.closed

"""A checkpassword program as a source of accounts; the program itself is in test_spawn_client.py."""

import asyncio

import pytest

from notqmail.config import Checkpassword, Seconds
from notqmail.mail.errors import AuthUnavailableError
from notqmail.mail.login import Attempt
from notqmail.system.auth_checkpassword import CheckpasswordAuthenticator
from notqmail.system.spawn import CANNOT_RUN, TIMED_OUT
from tests.support.clock import virtual_time
from tests.support.spawning import FakeHelper
from tests.system.auth_conformance import (
    ACCOUNTS,
    ATTEMPT,
    REALM,
    SECRET,
    AuthenticatorConformance,
    Backend,
)


@pytest.fixture
def helper() -> FakeHelper:
    return FakeHelper(ACCOUNTS)


def source_of(helper: FakeHelper, waiting: int = 100) -> CheckpasswordAuthenticator:
    config = Checkpassword(command=("/bin/x",), timeout=Seconds(10), processes=2)
    return CheckpasswordAuthenticator(config, REALM, helper, waiting)


@pytest.fixture
def backend(helper: FakeHelper) -> Backend:
    def away() -> None:
        helper.status = 111

    return Backend(source_of(helper), lambda: helper.names, away)


class TestCheckpasswordAuthenticator(AuthenticatorConformance):
    pass


async def test_program_is_given_both_ends_name_password_and_an_empty_stamp(
    helper: FakeHelper,
) -> None:
    await source_of(helper).password("alice@x", "se same", Attempt("192.0.2.7", "2001:db8::1"))

    assert helper.bodies == [b"192.0.2.7\x002001:db8::1\0alice@x\0se same\0\0"]


async def test_secrets_that_do_not_fit_512_octets_are_not_sent(helper: FakeHelper) -> None:
    source = source_of(helper)

    assert await source.password("alice", "x" * 504, ATTEMPT) is None
    assert len(helper.bodies) == 1
    assert await source.password("alice", "x" * 505, ATTEMPT) is None
    assert len(helper.bodies) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (2, "ended with status 2"),
        (111, "ended with status 111"),
        (-9, "was killed by signal 9"),
        (CANNOT_RUN, "is missing or cannot be run"),
        (TIMED_OUT, "took too long and was killed"),
    ],
)
async def test_every_other_status_is_neither_yes_nor_no(
    helper: FakeHelper, status: int, words: str
) -> None:
    helper.status = status

    with pytest.raises(AuthUnavailableError, match=f"the checkpassword program {words}"):
        await source_of(helper).password("alice", SECRET, ATTEMPT)


async def test_helper_that_has_ended_is_neither_yes_nor_no(helper: FakeHelper) -> None:
    source = source_of(helper)
    helper.gone = True

    for _ in range(5):  # and nobody's place stays taken
        with pytest.raises(AuthUnavailableError, match="spawn helper"):
            await source.password("alice", SECRET, ATTEMPT)

    helper.gone = False
    assert await source.password("alice", SECRET, ATTEMPT)


@virtual_time
async def test_program_that_hangs_keeps_its_place_until_it_is_killed() -> None:
    helper = FakeHelper(ACCOUNTS)
    source = source_of(helper, waiting=1)
    helper.stuck = True
    hanging = [asyncio.create_task(source.password("alice", SECRET, ATTEMPT)) for _ in range(3)]
    await asyncio.sleep(0)

    with pytest.raises(AuthUnavailableError, match="more than 1 logins wait"):
        await source.password("alice", SECRET, ATTEMPT)
    told = await asyncio.gather(*hanging, return_exceptions=True)

    assert all(isinstance(each, AuthUnavailableError) for each in told)
    assert len(helper.bodies) == 2  # the third never came to be asked
    helper.stuck = False
    for answer in helper.answers:
        answer.set_result(TIMED_OUT)
    assert await source.password("alice", SECRET, ATTEMPT)


async def test_close_leaves_the_helper_alone(helper: FakeHelper) -> None:
    source = source_of(helper)

    await source.close()

    assert await source.password("alice", SECRET, ATTEMPT)

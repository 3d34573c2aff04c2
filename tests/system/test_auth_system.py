"""People of the machine as a source of accounts; what the helper looks at is in test_shadow.py."""

import pytest

from notqmail.config import Seconds, System
from notqmail.mail.errors import AuthUnavailableError
from notqmail.system.auth_system import SystemAuthenticator
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


@pytest.fixture
def source(helper: FakeHelper) -> SystemAuthenticator:
    return SystemAuthenticator(System(timeout=Seconds(10)), REALM, helper, checks=2, waiting=100)


@pytest.fixture
def backend(helper: FakeHelper, source: SystemAuthenticator) -> Backend:
    def away() -> None:
        helper.status = 111

    return Backend(source, lambda: helper.names, away)


class TestSystemAuthenticator(AuthenticatorConformance):
    pass


async def test_name_may_be_written_with_our_domain(
    helper: FakeHelper, source: SystemAuthenticator
) -> None:
    login = await source.password("alice@Example.org", SECRET, ATTEMPT)

    assert login is not None
    assert (login.account, str(login.address)) == ("alice", "alice@example.org")
    assert helper.bodies == [b"alice\0" + SECRET.encode() + b"\0"]


async def test_files_that_cannot_be_read_are_neither_yes_nor_no(
    helper: FakeHelper, source: SystemAuthenticator
) -> None:
    helper.status = 111

    with pytest.raises(AuthUnavailableError, match="ended with status 111"):
        await source.password("alice", SECRET, ATTEMPT)
    await source.close()

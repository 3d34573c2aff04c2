"""PAM as a source of accounts, with a library that answers as python-pam does; the real one is in tests/interop."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from notqmail.config import Pam, Seconds
from notqmail.mail.errors import AuthUnavailableError, ConfigError
from notqmail.system import auth_pam
from notqmail.system.auth_pam import PamAuthenticator
from tests.system.auth_conformance import (
    ACCOUNTS,
    ATTEMPT,
    REALM,
    SECRET,
    AuthenticatorConformance,
    Backend,
)


@dataclass
class FakePam:
    """What stands behind all conversations. `code` is what PAM says when set; `hold` keeps conversations waiting."""

    accounts: Mapping[str, str]
    code: int | None = None
    error: Exception | None = None
    hold: threading.Event | None = None
    names: list[bytes] = field(default_factory=list)
    calls: list[tuple[bytes, str, bool]] = field(default_factory=list)
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __call__(self) -> "FakeConversation":
        return FakeConversation(self)


class FakeConversation:
    """auth_pam.Conversation."""

    def __init__(self, pam: FakePam) -> None:
        self._pam = pam
        self.code = -1

    def authenticate(
        self, username: bytes, password: bytes, service: bytes, *, encoding: str, resetcreds: bool
    ) -> bool:
        pam = self._pam
        pam.names.append(username)
        pam.calls.append((service, encoding, resetcreds))
        pam.begun.release()
        if pam.hold is not None:
            assert pam.hold.wait(10)
        if pam.error is not None:
            raise pam.error
        right = pam.accounts.get(username.decode()) == password.decode()
        self.code = pam.code if pam.code is not None else 0 if right else 7
        return self.code == 0


@pytest.fixture
def pam() -> Iterator[FakePam]:
    pam = FakePam(ACCOUNTS)
    yield pam
    if pam.hold is not None:
        pam.hold.set()


def source_of(pam: FakePam, timeout: float = 10, waiting: int = 100) -> PamAuthenticator:
    config = Pam(service="mail", timeout=Seconds(timeout), threads=2)
    return PamAuthenticator(config, REALM, waiting, pam, {"toor": 0, "alice": 1000}.get)


@pytest.fixture
def backend(pam: FakePam) -> Backend:
    def away() -> None:
        pam.code = 9  # AUTHINFO_UNAVAIL

    return Backend(source_of(pam), lambda: pam.names, away)


class TestPamAuthenticator(AuthenticatorConformance):
    pass


async def test_service_of_the_configuration_is_asked_and_no_session_begun(pam: FakePam) -> None:
    await source_of(pam).password("alice", SECRET, ATTEMPT)

    assert pam.calls == [(b"mail", "latin-1", False)]


async def test_name_may_be_written_with_our_domain(pam: FakePam) -> None:
    login = await source_of(pam).password("alice@example.org", SECRET, ATTEMPT)

    assert login is not None
    assert login.account == "alice"
    assert pam.names == [b"alice"]


async def test_nobody_logs_in_as_root_whatever_the_name(pam: FakePam) -> None:
    pam.code = 0

    assert await source_of(pam).password("toor", SECRET, ATTEMPT) is None
    assert not pam.names


@pytest.mark.parametrize("code", [6, 7, 10, 11, 12, 13, 16, 27])
async def test_pam_says_no_in_many_ways(pam: FakePam, code: int) -> None:
    pam.code = code

    assert await source_of(pam).password("alice", SECRET, ATTEMPT) is None


@pytest.mark.parametrize("code", [1, 3, 4, 5, 8, 9, 19, 24, 26, 28, 99])
async def test_pam_cannot_tell_in_many_ways(pam: FakePam, code: int) -> None:
    pam.code = code

    with pytest.raises(AuthUnavailableError, match=f"code {code}"):
        await source_of(pam).password("alice", SECRET, ATTEMPT)


async def test_error_of_the_library_is_not_repeated(pam: FakePam) -> None:
    pam.error = ValueError(f"cannot handle {SECRET}")

    with pytest.raises(AuthUnavailableError) as raised:
        await source_of(pam).password("alice", SECRET, ATTEMPT)

    assert str(raised.value) == "PAM failed"
    assert raised.value.__cause__ is None


async def test_conversation_that_hangs_keeps_its_thread(pam: FakePam) -> None:
    pam.hold = threading.Event()
    source = source_of(pam, timeout=0.01, waiting=1)
    for _ in range(2):
        with pytest.raises(AuthUnavailableError, match="within"):
            await source.password("alice", SECRET, ATTEMPT)
        await asyncio.to_thread(pam.begun.acquire)

    with pytest.raises(AuthUnavailableError, match="within"):
        await source.password("alice", SECRET, ATTEMPT)

    assert len(pam.names) == 2  # two threads, both taken
    pam.hold.set()
    patient = source_of(pam)
    assert await patient.password("alice", SECRET, ATTEMPT)


async def test_threads_that_are_free_again_are_used_again(pam: FakePam) -> None:
    source = source_of(pam)

    for _ in range(5):
        assert await source.password("alice", SECRET, ATTEMPT)


def refusing(error: Exception) -> Callable[[str], object]:
    def library(name: str) -> object:
        raise error

    return library


class WithoutLibpam:
    """python-pam on a machine without libpam."""

    @staticmethod
    def PamAuthenticator() -> object:
        raise AttributeError("undefined symbol: pam_start")


@pytest.mark.parametrize(
    ("library", "remedy"),
    [
        (refusing(ImportError("no module named pam")), r"pip install notqmail\[pam\]"),
        (lambda name: WithoutLibpam, "libpam"),
    ],
)
def test_what_is_missing_is_said_with_a_remedy(
    library: Callable[[str], object], remedy: str
) -> None:
    with pytest.raises(ConfigError, match=remedy):
        auth_pam.python_pam(library)


def test_user_ids_are_those_of_the_machine() -> None:
    assert auth_pam.user_id("root") == 0
    assert auth_pam.user_id("no such user") is None
    assert auth_pam.user_id("a\0b") is None

"""Dovecot as a source of accounts: one connection, whatever becomes of it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvloop

from notqmail.config import Dovecot, Seconds
from notqmail.mail.errors import AuthUnavailableError
from notqmail.system.auth_dovecot import DovecotAuthenticator
from tests.support.clock import virtual_time
from tests.support.dovecot_fake import HANDSHAKE, FakeDovecot
from tests.system.auth_conformance import (
    ACCOUNTS,
    ATTEMPT,
    REALM,
    SECRET,
    AuthenticatorConformance,
    Backend,
)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[FakeDovecot]:
    async with FakeDovecot(tmp_path / "auth", ACCOUNTS) as server:
        yield server


def source_of(server: FakeDovecot, waiting: int = 100) -> DovecotAuthenticator:
    config = Dovecot(socket=str(server.path), timeout=Seconds(10))
    return DovecotAuthenticator(config, REALM, waiting)


@pytest.fixture
async def source(server: FakeDovecot) -> AsyncIterator[DovecotAuthenticator]:
    source = source_of(server)
    yield source
    await source.close()


@pytest.fixture
def backend(server: FakeDovecot, source: DovecotAuthenticator) -> Backend:
    def away() -> None:
        server.answer = lambda id, name, password: b"FAIL\t%b\ttemp\n" % id

    return Backend(source, lambda: server.names, away)


class TestDovecotAuthenticator(AuthenticatorConformance):
    pass


async def test_dovecot_says_what_the_account_is_called(
    server: FakeDovecot, source: DovecotAuthenticator
) -> None:
    server.answer = lambda id, name, password: b"OK\t%b\tuser=alice@example.net\n" % id

    login = await source.password("ALICE", SECRET, ATTEMPT)

    assert login is not None
    assert (login.account, str(login.address)) == ("alice@example.net", "alice@example.net")


async def test_name_that_dovecot_does_not_repeat_is_the_one_sent(
    server: FakeDovecot, source: DovecotAuthenticator
) -> None:
    server.answer = lambda id, name, password: b"OK\t%b\n" % id

    login = await source.password("alice", SECRET, ATTEMPT)

    assert login is not None
    assert login.account == "alice"


async def test_all_logins_share_one_connection(
    server: FakeDovecot, source: DovecotAuthenticator
) -> None:
    await asyncio.gather(*(source.password("alice", SECRET, ATTEMPT) for _ in range(20)))

    assert server.connections == 1
    assert len(server.names) == 20


async def test_answers_in_another_order_reach_who_asked(
    server: FakeDovecot, source: DovecotAuthenticator
) -> None:
    held: list[bytes] = []

    def answer(id: bytes, name: bytes, password: bytes) -> bytes | None:
        held.insert(0, server.by_accounts(id, name, password))
        return b"".join(held) if len(held) == 3 else None

    server.answer = answer
    asked = (("alice", SECRET), ("alice", "wrong"), ("bob", "0"))

    logins = await asyncio.gather(*(source.password(*each, ATTEMPT) for each in asked))

    assert [login and login.account for login in logins] == ["alice", None, "bob"]


async def test_lost_connection_is_made_anew(
    server: FakeDovecot, source: DovecotAuthenticator
) -> None:
    assert await source.password("alice", SECRET, ATTEMPT)
    await server.stop()

    with pytest.raises(AuthUnavailableError, match="cannot be asked at"):
        await source.password("alice", SECRET, ATTEMPT)
    await server.start()

    assert await source.password("alice", SECRET, ATTEMPT)
    assert server.connections == 2


async def test_login_under_way_when_dovecot_ends_is_told_to_come_again(
    server: FakeDovecot, source: DovecotAuthenticator
) -> None:
    server.answer = lambda id, name, password: None
    login = asyncio.create_task(source.password("alice", SECRET, ATTEMPT))
    await server.asked.wait()

    await server.stop()

    with pytest.raises(AuthUnavailableError, match="cannot be asked at"):
        await login


async def test_login_under_way_when_dovecot_is_restarted_is_asked_again(
    server: FakeDovecot, source: DovecotAuthenticator
) -> None:
    def end(id: bytes, name: bytes, password: bytes) -> bytes:
        server.answer = server.by_accounts
        server.hang_up()
        return b""

    server.answer = end

    assert await source.password("alice", SECRET, ATTEMPT)
    assert server.names == [b"alice", b"alice"]


async def test_dovecot_that_ends_at_every_login_is_not_asked_for_ever(
    server: FakeDovecot, source: DovecotAuthenticator
) -> None:
    def end(id: bytes, name: bytes, password: bytes) -> bytes:
        server.hang_up()
        return b""

    server.answer = end

    with pytest.raises(AuthUnavailableError, match="closed"):
        await source.password("alice", SECRET, ATTEMPT)
    assert server.connections == 2


@virtual_time
async def test_answer_that_does_not_come_is_waited_for_only_so_long(tmp_path: Path) -> None:
    async with FakeDovecot(tmp_path / "auth", ACCOUNTS) as server:
        source = source_of(server)
        server.answer = lambda id, name, password: None

        with pytest.raises(AuthUnavailableError, match="within 10 s"):
            await source.password("alice", SECRET, ATTEMPT)

        await server.cancelled.wait()  # Dovecot need not go on with it
        server.answer = lambda id, name, password: (
            b"OK\t1\tuser=bob\n" + server.by_accounts(id, name, password)
        )
        login = await source.password("alice", SECRET, ATTEMPT)
        assert login is not None
        assert login.account == "alice"  # the late answer to the first is nobody's
        await source.close()


@pytest.mark.parametrize("greeting", [b"", b"VERSION\t1\t2\nMECH\tPLAIN\n"])
@virtual_time
async def test_handshake_that_does_not_end_is_waited_for_only_so_long(
    tmp_path: Path, greeting: bytes
) -> None:
    async with FakeDovecot(tmp_path / "auth", ACCOUNTS) as server:
        source = source_of(server)
        server.greeting = greeting

        for _ in range(2):
            with pytest.raises(AuthUnavailableError, match="within 10 s"):
                await source.password("alice", SECRET, ATTEMPT)

        server.greeting = HANDSHAKE
        assert await source.password("alice", SECRET, ATTEMPT)
        await source.close()


@pytest.mark.parametrize(
    "greeting",
    [b"220 mx ESMTP\r\n", b"VERSION\t2\t0\n", b"VERSION\t1\t0\nMECH\tLOGIN\nDONE\n", b"x" * 9000],
)
async def test_what_is_no_dovecot_is_not_talked_to(
    server: FakeDovecot, source: DovecotAuthenticator, greeting: bytes
) -> None:
    server.greeting = greeting

    with pytest.raises(AuthUnavailableError):
        await source.password("alice", SECRET, ATTEMPT)

    assert not server.names
    server.greeting = HANDSHAKE
    assert await source.password("alice", SECRET, ATTEMPT)


async def test_more_logins_than_may_wait_are_turned_away(server: FakeDovecot) -> None:
    source = source_of(server, waiting=3)
    server.answer = lambda id, name, password: None
    logins = [asyncio.create_task(source.password("alice", SECRET, ATTEMPT)) for _ in range(3)]
    await server.asked.wait()

    with pytest.raises(AuthUnavailableError, match="more than 3"):
        await source.password("alice", SECRET, ATTEMPT)

    for login in logins:
        login.cancel()
    await asyncio.gather(*logins, return_exceptions=True)
    server.answer = server.by_accounts
    assert await source.password("alice", SECRET, ATTEMPT)
    await source.close()


@virtual_time
async def test_dovecot_that_does_not_read_is_not_written_to_without_bound(tmp_path: Path) -> None:
    writers: list[asyncio.StreamWriter] = []

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(HANDSHAKE)
        writer.transport.pause_reading()  # type: ignore[attr-defined]

    server = await asyncio.start_unix_server(deaf, tmp_path / "auth")
    config = Dovecot(socket=str(tmp_path / "auth"), timeout=Seconds(10))
    source = DovecotAuthenticator(config, REALM, 1000)

    async with server:
        told = await asyncio.gather(
            *(source.password("alice", "x" * 1000, ATTEMPT) for _ in range(1000)),
            return_exceptions=True,
        )
        await source.close()
        writers[0].transport.abort()

    assert all(isinstance(each, AuthUnavailableError) for each in told)
    assert any("does not read" in str(each) for each in told)


def test_event_loop_of_the_server_can_ask_it(tmp_path: Path) -> None:
    async def log_in() -> list[str | None]:
        async with FakeDovecot(tmp_path / "auth", ACCOUNTS) as server:
            source = source_of(server)
            asked = (("alice", SECRET), ("alice", "wrong"), ("bob", "0"))
            logins = [await source.password(*each, ATTEMPT) for each in asked]
            await source.close()
            return [login and login.account for login in logins]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(log_in()) == ["alice", None, "bob"]


async def test_source_that_is_closed_ends_what_is_under_way(server: FakeDovecot) -> None:
    source = source_of(server)
    server.answer = lambda id, name, password: None
    login = asyncio.create_task(source.password("alice", SECRET, ATTEMPT))
    await server.asked.wait()

    await source.close()

    with pytest.raises(AuthUnavailableError):
        await login
    await source_of(server).close()  # one that was never used as well

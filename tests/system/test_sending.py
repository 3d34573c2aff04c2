"""Counting beside the event loop."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from notqmail.mail.address import Address
from notqmail.mail.errors import SpoolError
from notqmail.mail.sending import SendingLimits
from notqmail.system.sending import SqliteSending
from tests.support.clock import FakeClock

ALICE = "alice@example.org"
TO = [Address("bob", "example.net")]
TWO = SendingLimits(messages=2)
SIZE = 100


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sending.sqlite"


@pytest.fixture
async def sending(path: Path) -> AsyncIterator[SqliteSending]:
    sending = SqliteSending(path, FakeClock())
    yield sending
    await sending.close()


async def held(sending: SqliteSending, times: int = 1) -> list[bool]:
    return [await sending.count(ALICE, TO, SIZE, TWO) is not None for _ in range(times)]


async def test_messages_at_once_are_counted_one_after_the_other(sending: SqliteSending) -> None:
    found = await asyncio.gather(*(sending.count(ALICE, TO, SIZE, TWO) for _ in range(50)))

    assert [hold is not None for hold in found] == [False] * 2 + [True] * 48


async def test_a_hold_is_told_of_until_the_postmaster_knows(sending: SqliteSending) -> None:
    told: list[None] = []
    sending.on_hold = lambda: told.append(None)

    await held(sending, 4)
    assert len(told) == 2
    await sending.told(ALICE)
    await held(sending)

    assert len(told) == 2
    assert [hold.told for hold in await sending.holds()] == [True]


async def test_who_is_released_is_held_no_longer(sending: SqliteSending) -> None:
    await held(sending, 3)

    assert await sending.release(ALICE)

    assert await held(sending) == [False]
    assert await sending.holds() == []


async def test_a_hold_and_the_hour_outlive_a_restart(path: Path) -> None:
    first = SqliteSending(path, FakeClock())
    assert await held(first, 2) == [False, False]
    await first.close()

    second = SqliteSending(path, FakeClock())
    assert await held(second) == [True]
    await second.close()

    third = SqliteSending(path, FakeClock())
    assert [hold.account for hold in await third.holds()] == [ALICE]
    await third.close()


async def test_what_the_disk_does_not_do_is_a_spool_error(tmp_path: Path) -> None:
    sending = SqliteSending(tmp_path / "nowhere" / "sending.sqlite", FakeClock())

    with pytest.raises(SpoolError, match="cannot be counted"):
        await sending.count(ALICE, TO, SIZE, TWO)

    await sending.close()


async def test_a_full_disk_is_told_as_one(sending: SqliteSending) -> None:
    await held(sending)
    await sending._run(lambda file: file._db.execute("PRAGMA max_page_count = 1").fetchall())
    many = [Address(f"u{number}", "example.net") for number in range(1000)]

    with pytest.raises(SpoolError) as caught:
        await sending.count(ALICE, many, SIZE, TWO)

    assert caught.value.full


async def test_a_damaged_file_is_put_aside_and_begun_anew(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(path.write_bytes, b"no database" * 100)
    sending = SqliteSending(path, FakeClock())

    with pytest.raises(SpoolError):
        await sending.count(ALICE, TO, SIZE, TWO)

    assert await held(sending, 3) == [False, False, True]
    assert path.with_name("sending.sqlite.broken").exists()
    assert "no account is held any more" in caplog.text
    await sending.close()

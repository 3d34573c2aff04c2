"""Domains that have shown a valid certificate."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from notqmail.delivery.tls_memory import PAUSE, WAIT, Seen, TlsMemory
from tests.support.clock import EPOCH, FakeClock, settle_down, virtual_time


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def remembering(clock: FakeClock, path: Path | None = None, **keys: Any) -> TlsMemory:
    return TlsMemory(clock, path, **{"lifetime": 3000.0, "domains": 3, **keys})


def test_domain_is_remembered_for_its_time(clock: FakeClock) -> None:
    memory = remembering(clock)
    memory.remember("example.net", "mx.example.net")

    assert memory.seen("example.net") == Seen("mx.example.net", EPOCH + 3000)
    assert memory.seen("example.com") is None
    clock.advance(3001)
    assert memory.seen("example.net") is None
    assert memory.list() == []


def test_domain_is_remembered_anew_when_that_is_worth_it(clock: FakeClock) -> None:
    memory = remembering(clock)
    memory.remember("example.net", "one")
    clock.advance(99)
    memory.remember("example.net", "two")
    assert memory.seen("example.net") == Seen("one", EPOCH + 3000)

    clock.advance(2)
    memory.remember("example.net", "two")

    assert memory.seen("example.net") == Seen("two", EPOCH + 3101)


def test_forgotten_domain_is_free(clock: FakeClock) -> None:
    memory = remembering(clock)
    memory.remember("example.net", "mx")

    assert memory.forget("example.net")
    assert not memory.forget("example.net")
    assert memory.seen("example.net") is None


def test_full_memory_takes_no_further_domain_and_says_so_once_in_a_while(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Who can make us write to many domains must not drive out the one he is after."""
    memory = remembering(clock, lifetime=PAUSE * 2)
    with caplog.at_level(logging.WARNING):
        for n in range(9):
            memory.remember(f"{n}.example", "mx")

    assert [domain for domain, _ in memory.list()] == ["0.example", "1.example", "2.example"]
    assert caplog.messages == ["tls-memory-full"]


def test_full_memory_has_room_again_when_others_are_over(clock: FakeClock) -> None:
    memory = remembering(clock, lifetime=PAUSE / 2)
    for n in range(4):
        memory.remember(f"{n}.example", "mx")

    clock.advance(PAUSE + 1)
    memory.remember("new.example", "mx")

    assert [domain for domain, _ in memory.list()] == ["new.example"]


def test_without_a_lifetime_nothing_is_remembered(clock: FakeClock) -> None:
    memory = remembering(clock)
    memory.remember("old.example", "mx")

    memory.configure(0, 3)
    memory.remember("example.net", "mx")

    assert memory.seen("old.example") is None
    assert len(memory) == 1


@virtual_time
async def test_changes_are_written_a_moment_later_together(tmp_path: Path) -> None:
    path = tmp_path / "memory.json"
    memory = remembering(FakeClock(), path)
    memory.remember("one.example", "mx")
    memory.remember("two.example", "mx")
    await asyncio.sleep(WAIT - 0.1)
    assert not path.exists()

    await asyncio.sleep(0.2)
    await memory.close()

    assert set(json.loads(path.read_bytes())) == {"one.example", "two.example"}
    assert path.stat().st_mode & 0o777 == 0o600


async def test_what_is_remembered_survives_a_restart(clock: FakeClock, tmp_path: Path) -> None:
    memory = remembering(clock, tmp_path / "memory.json")
    memory.remember("example.net", "mx")
    await memory.close()

    again = await asyncio.to_thread(remembering, clock, tmp_path / "memory.json")

    assert again.seen("example.net") == Seen("mx", EPOCH + 3000)
    await again.close()  # nothing has changed: nothing is written


@pytest.mark.parametrize("octets", [b"", b"{", b'{"x": 1}', b"\xff"])
def test_file_that_cannot_be_read_is_told(
    clock: FakeClock, tmp_path: Path, octets: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "memory.json"
    path.write_bytes(octets)

    assert len(remembering(clock, path)) == 0
    assert "nothing is remembered" in caplog.text


async def test_file_that_cannot_be_written_is_told_and_tried_again(
    clock: FakeClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    memory = remembering(clock, tmp_path / "missing" / "memory.json")
    memory.remember("example.net", "mx")
    await memory.close()
    assert "cannot be written" in caplog.text

    (tmp_path / "missing").mkdir()
    await memory.close()

    assert (tmp_path / "missing" / "memory.json").exists()


async def test_memory_without_a_file_writes_none(clock: FakeClock) -> None:
    memory = remembering(clock)
    memory.remember("example.net", "mx")

    await memory.close()
    await settle_down()

"""Bans outlive the process: the file, and who keeps it."""

import asyncio
import logging
import stat
from pathlib import Path

import pytest

from notqmail.config import Ban as Rules
from notqmail.mail.errors import ConfigError
from notqmail.mail.network import parse_network as network
from notqmail.policy.login_guard import Ban, LoginGuard
from notqmail.system.ban_file import PAUSE, BanKeeper, read_bans, write_bans
from tests.support.clock import EPOCH, FakeClock, virtual_time

BANS = [
    Ban(network("192.0.2.1"), EPOCH, EPOCH + 600, 1),
    Ban(network("2001:db8::/64"), EPOCH + 0.5, EPOCH + 1200.25, 2),
    Ban(network("203.0.113.0/24"), EPOCH, None),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bans"


def test_what_is_written_is_read_again(path: Path) -> None:
    write_bans(path, BANS)

    assert read_bans(path) == BANS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_ban_is_a_line_that_can_be_edited(path: Path) -> None:
    write_bans(path, BANS)

    lines = path.read_text().splitlines()

    assert lines[0] == (
        '{"network":"192.0.2.1/32","since":1800000000.0,"until":1800000600.0,"count":1}'
    )
    path.write_text("\n".join(lines[1:]) + "\n\n")
    assert read_bans(path) == BANS[1:]


def test_no_file_is_no_bans(path: Path) -> None:
    assert read_bans(path) == []


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "192.0.2.1",
        '{"network": "192.0.2.1"}',
        '{"network": "x", "since": 1.0, "until": null}',
        '{"network": "192.0.2.1", "since": 1.0, "until": null, "more": 1}',
        '{"network": "\udcff", "since": 1.0, "until": null}',
    ],
)
def test_what_is_no_list_of_bans_is_refused_with_the_remedy(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(ConfigError, match=r"not a list of bans.*; correct it, or remove it"):
        read_bans(path)


def test_what_cannot_be_read_is_said(path: Path) -> None:
    path.mkdir()

    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_bans(path)


def guard() -> LoginGuard:
    return LoginGuard(Rules(failures=1), FakeClock())


@virtual_time
async def test_changes_gather_and_are_written_after_a_moment(path: Path) -> None:
    who = guard()
    keeper = BanKeeper(path, who)
    await keeper.start()

    for n in range(5):
        who.failed(f"192.0.2.{n}")
    await asyncio.sleep(PAUSE / 2)
    assert not path.exists()
    await asyncio.sleep(PAUSE)
    assert len(await asyncio.to_thread(read_bans, path)) == 5

    who.failed("192.0.2.9")
    await keeper.stop()
    assert len(await asyncio.to_thread(read_bans, path)) == 6


@virtual_time
async def test_bans_are_taken_up_at_the_start(path: Path) -> None:
    await asyncio.to_thread(write_bans, path, BANS)
    who = guard()

    keeper = BanKeeper(path, who)
    await keeper.start()
    await keeper.stop()

    assert who.banned("203.0.113.9")
    assert list(who.kept()) == BANS


@virtual_time
async def test_without_a_change_nothing_is_written(path: Path) -> None:
    keeper = BanKeeper(path, guard())
    await keeper.start()

    await keeper.stop()

    assert not path.exists()


@virtual_time
async def test_a_damaged_file_costs_the_bans_and_not_the_start(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(path.write_text, "{")
    who = guard()
    keeper = BanKeeper(path, who)

    await keeper.start()
    who.failed("192.0.2.1")
    await keeper.stop()

    assert "bans are lost" in caplog.text
    assert len(await asyncio.to_thread(read_bans, path)) == 1


@virtual_time
async def test_a_disk_that_cannot_be_written_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    place = tmp_path / "data"
    who = guard()
    keeper = BanKeeper(place / "bans", who)
    await keeper.start()

    for n in range(3):
        who.failed(f"192.0.2.{n}")
        await asyncio.sleep(2 * PAUSE)
    await asyncio.to_thread(place.mkdir)
    who.failed("192.0.2.9")
    await keeper.stop()

    assert caplog.text.count("bans cannot be kept") == 1
    assert len(await asyncio.to_thread(read_bans, place / "bans")) == 4

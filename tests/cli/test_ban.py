"""ban: here on the file of a server that does not run."""

import json
from pathlib import Path

import pytest

from notqmail.store.lock import DataLock
from tests.support.commands import Ended, init, notqmail


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return init(tmp_path / "x")


def ban(config: Path, *arguments: object) -> Ended:
    return notqmail("ban", *arguments, "-c", config)


def listed(config: Path) -> list[str]:
    return [json.loads(line)["network"] for line in ban(config, "list", "--json").out.splitlines()]


def test_nobody_is_banned_at_first(config: Path) -> None:
    assert ban(config, "list").out == "nobody is banned\n"
    assert listed(config) == []
    assert not (config.parent / "data" / "bans").exists()


def test_a_ban_is_added_listed_and_lifted(config: Path) -> None:
    assert ban(config, "add", "203.0.113.0/24", "--for", "1h").out == (
        "banned 203.0.113.0/24 for 1h\n"
    )
    assert ban(config, "add", "2001:db8::1").out == "banned 2001:db8::/64 until it is lifted\n"
    assert set(listed(config)) == {"203.0.113.0/24", "2001:db8::/64"}

    assert ban(config, "lift", "203.0.113.7").out == "lifted 203.0.113.0/24\n"
    assert ban(config, "lift", "--all").out == "lifted 2001:db8::/64\n"
    assert listed(config) == []


def test_bans_are_a_table(config: Path) -> None:
    ban(config, "add", "203.0.113.0/24", "--for", "1h")
    ban(config, "add", "192.0.2.1")

    head, second, first = ban(config, "list").out.splitlines()

    assert head.split() == ["NETWORK", "SINCE", "ENDS", "WHY", "BANS"]
    assert first.startswith("203.0.113.0/24  20")
    assert first[head.index("ENDS") :].split("  ")[0] == "in 59m 59s"
    assert second[head.index("ENDS") :].split() == ["never", "by", "hand"]
    assert len(ban(config, "list", "--limit", "1").out.splitlines()) == 2


@pytest.mark.parametrize("what", [["192.0.2.1"], ["--all"]])
def test_nothing_to_lift_is_status_1(config: Path, what: list[str]) -> None:
    ended = ban(config, "lift", *what)

    assert (ended.status, ended.err) == (1, "notqmail: there is no such ban\n")


@pytest.mark.parametrize("what", [[], ["192.0.2.1", "--all"]])
def test_what_to_lift_is_named_once(config: Path, what: list[str]) -> None:
    ended = ban(config, "lift", *what)

    assert ended.status == 2
    assert "Name a NETWORK, or --all." in ended.err


def test_what_is_no_network_or_span_is_refused(config: Path) -> None:
    assert ban(config, "add", "mx.example.org").err == (
        "notqmail: 'mx.example.org' is no network; write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/64\n"
    )
    assert ban(config, "add", "192.0.2.1", "--for", "soon").status == 2


def test_bans_of_a_server_that_runs_are_not_changed_behind_its_back(config: Path) -> None:
    lock = DataLock.acquire(config.parent / "data")
    try:
        ended = ban(config, "add", "192.0.2.1")
    finally:
        lock.release()

    assert ended.status == 2
    assert "is using this data directory" in ended.err


def test_a_damaged_file_is_said_with_the_remedy(config: Path) -> None:
    (config.parent / "data" / "bans").write_text("{")

    ended = ban(config, "list")

    assert ended.status == 2
    assert "not a list of bans" in ended.err
    assert "correct it, or remove it" in ended.err

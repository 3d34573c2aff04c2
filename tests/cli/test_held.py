"""user held, user release: accounts that have sent too much, here without a running server."""

import asyncio
import json
from pathlib import Path

import pytest

from notqmail.config import load
from notqmail.mail.address import Address
from notqmail.mail.sending import SendingLimits
from notqmail.system.clock import SystemClock
from notqmail.system.sending import SqliteSending
from tests.support.commands import Ended, init, notqmail
from tests.support.queued import put

ALICE, ID, OTHER = "alice@example.org", "DC1AAAAAAAAAAA", "DC1BBBBBBBBBBB"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    config = init(tmp_path / "x")
    put(config, ID, ALICE, "bob@example.net", "eve@example.com", login=ALICE, held=True)
    put(config, OTHER, ALICE, "bob@example.net", login="carol@example.org", held=True)
    return config


def hold(config: Path) -> None:
    async def exceed() -> None:
        settings = await asyncio.to_thread(load, config)
        sending = SqliteSending(settings.data / "sending.sqlite", SystemClock())
        bob = Address("bob", "example.net")
        await sending.count(ALICE, [bob, bob], 100, SendingLimits(recipients=1))
        await sending.close()

    asyncio.run(exceed())


def user(config: Path, *arguments: object) -> Ended:
    return notqmail("user", *arguments, "-c", config)


def states(config: Path) -> dict[str, str]:
    out = notqmail("queue", "list", "--json", "-c", config).out
    return {row["id"]: row["state"] for row in map(json.loads, out.splitlines())}


def test_nobody_is_held_at_first(config: Path) -> None:
    assert user(config, "held").out == "no account is held\n"
    assert user(config, "held", "--json").out == ""


def test_who_is_held_is_a_table(config: Path) -> None:
    hold(config)

    head, line = user(config, "held").out.splitlines()

    assert head.split() == ["ACCOUNT", "FOR", "MESSAGES", "RECIPIENTS", "HAS", "SENT"]
    account, _, messages, recipients, *reason = line.split()
    assert (account, messages, recipients) == (ALICE, "1", "2")
    assert " ".join(reason) == "2 recipients within an hour, submission.recipients_per_hour is 1"


def test_who_is_held_comes_as_json(config: Path) -> None:
    hold(config)

    record = json.loads(user(config, "held", "--json").out)

    assert (record["account"], record["messages"], record["recipients"]) == (ALICE, 1, 2)


def test_a_release_frees_the_account_and_its_mail_alone(config: Path) -> None:
    hold(config)

    ended = user(config, "release", ALICE)

    assert ended.out == f"released {ALICE}; messages on their way now: 1\n"
    assert states(config) == {ID: "due", OTHER: "held"}
    assert user(config, "held").out == "no account is held\n"


def test_what_is_not_the_owners_is_deleted_before(config: Path) -> None:
    hold(config)

    ended = notqmail("queue", "delete", "--held", "--login", ALICE, "--yes", "-c", config)

    assert ended.status == 0
    assert states(config) == {OTHER: "held"}


def test_who_is_not_held_is_status_1_with_a_remedy(config: Path) -> None:
    ended = user(config, "release", "bob@example.org")

    assert ended.status == 1
    assert ended.err == (
        "notqmail: the account 'bob@example.org' is not held; `notqmail user held` lists those that are\n"
    )

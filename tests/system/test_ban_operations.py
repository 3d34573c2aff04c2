"""What people do with bans, by the names the control socket has for them."""

import asyncio
from typing import Any

import pytest

from notqmail.config import Ban as Rules
from notqmail.policy import login_guard
from notqmail.policy.login_guard import LoginGuard
from notqmail.queue.operations import OperationError
from notqmail.system.ban_operations import BanOperations
from tests.support.clock import EPOCH, FakeClock


@pytest.fixture
def guard() -> LoginGuard:
    return LoginGuard(Rules(exempt=("10.0.0.0/8", "fd00::/8")), FakeClock())


def perform(guard: LoginGuard, op: str, **args: object) -> Any:
    return asyncio.run(BanOperations(guard).table[op](args))


def test_bans_are_listed_newest_first_and_as_many_as_asked_for(guard: LoginGuard) -> None:
    perform(guard, "ban_add", network="203.0.113.0/24")
    guard._clock.advance(1)
    for _ in range(10):
        guard.failed("192.0.2.1")

    rows = perform(guard, "ban_list")

    assert rows == [
        {"network": "192.0.2.1", "since": EPOCH + 1, "until": EPOCH + 601, "count": 1, "why": "failed logins"},
        {"network": "203.0.113.0/24", "since": EPOCH, "until": None, "count": 0, "why": "by hand"},
    ]  # fmt: skip
    assert perform(guard, "ban_list", limit=1) == rows[:1]


@pytest.mark.parametrize(
    ("given", "banned"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("2001:DB8::1", "2001:db8::/64"),
        ("2001:db8::1/128", "2001:db8::1"),
        ("2001:db8::/32", "2001:db8::/32"),
    ],
)
def test_a_network_is_banned_as_it_is_counted(guard: LoginGuard, given: str, banned: str) -> None:
    row = perform(guard, "ban_add", network=given, seconds=60)

    assert (row["network"], row["until"]) == (banned, EPOCH + 60)
    assert [each["network"] for each in perform(guard, "ban_lift", network=given)] == [banned]
    assert perform(guard, "ban_list") == []


def test_all_bans_are_lifted_at_once(guard: LoginGuard) -> None:
    for given in ("192.0.2.1", "2001:db8::1"):
        perform(guard, "ban_add", network=given)

    assert len(perform(guard, "ban_lift", all=True)) == 2


@pytest.mark.parametrize(
    ("op", "args", "said"),
    [
        ("ban_lift", {"network": "192.0.2.1"}, "there is no such ban"),
        ("ban_lift", {"all": True}, "there is no such ban"),
        ("ban_lift", {}, "the argument 'network' is missing"),
        ("ban_lift", {"network": "", "all": 1}, "the argument 'network' is missing"),
        ("ban_add", {"network": 5}, "the argument 'network' is missing"),
        ("ban_add", {"network": "mx.example.org"}, "'mx.example.org' is no network"),
        ("ban_add", {"network": "192.0.2.1/24"}, "'192.0.2.1/24' is no network; write 192.0.2.1,"),
        ("ban_add", {"network": "192.0.2.1", "seconds": 0}, "'seconds' is not a number above 0"),
        ("ban_add", {"network": "192.0.2.1", "seconds": "1"}, "'seconds' is not a number above 0"),
        ("ban_add", {"network": "10.1.0.0/16"}, "10.1.0.0/16 is exempt: take it out of auth.ban"),
        ("ban_add", {"network": "fd00::1"}, "fd00::/64 is exempt"),
        ("ban_list", {"limit": 0}, "'limit' is not a number above 0"),
        ("ban_list", {"limit": "x"}, "'limit' is not a number above 0"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    guard: LoginGuard, op: str, args: dict[str, object], said: str
) -> None:
    with pytest.raises(OperationError) as refused:
        perform(guard, op, **args)

    assert str(refused.value).startswith(said)


def test_too_many_bans_by_hand_are_refused(
    guard: LoginGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_guard, "BY_HAND", 1)
    perform(guard, "ban_add", network="192.0.2.1")

    with pytest.raises(OperationError, match="there are 1 bans already"):
        perform(guard, "ban_add", network="192.0.2.2")

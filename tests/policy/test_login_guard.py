"""Who fails to log in: longer waits, then bans, always of the network that fails and of nobody else."""

import logging
from collections.abc import Sequence
from ipaddress import IPv6Address
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.config import Ban as Rules
from notqmail.config import Seconds
from notqmail.mail.network import client_network, parse_network
from notqmail.policy import login_guard
from notqmail.policy.login_guard import Ban, Decision, LoginGuard
from tests.support.clock import EPOCH, FakeClock

ATTACKER, OWNER = "192.0.2.1", "198.51.100.7"


def guard(clock: FakeClock | None = None, **rules: object) -> LoginGuard:
    return LoginGuard(Rules(**rules), clock or FakeClock())


def ban(text: str, until: float | None = None, count: int = 0, since: float = EPOCH) -> Ban:
    return Ban(parse_network(text), since, until, count)


def fail(who: LoginGuard, address: str = ATTACKER, times: int = 10) -> Sequence[Decision]:
    return [who.failed(address) for _ in range(times)]


# waits


def test_each_failure_waits_twice_as_long_up_to_the_longest() -> None:
    delays = [each.delay for each in fail(guard(failures=0), times=7)]

    assert delays == [1, 2, 4, 8, 15, 15, 15]


def test_no_number_of_failures_is_too_large() -> None:
    assert fail(guard(failures=0), times=2000)[-1] == Decision(15)


def test_a_failure_is_forgotten_when_its_window_has_passed() -> None:
    clock = FakeClock()
    who = guard(clock)
    fail(who, times=9)

    clock.advance(600)

    assert fail(who, times=9)[-1].banned_until is None
    assert who.failed(ATTACKER).banned_until == EPOCH + 600 + 600


def test_delays_can_be_switched_off() -> None:
    assert {each.delay for each in fail(guard(delay=Seconds(0)))} == {0}


# bans


def test_too_many_failures_are_a_ban() -> None:
    clock = FakeClock()
    who = guard(clock)

    *before, last = fail(who)

    assert {each.banned_until for each in before} == {None}
    assert last.banned_until == who.banned(ATTACKER) == EPOCH + 600
    clock.advance(599)
    assert who.banned(ATTACKER)
    clock.advance(1)
    assert who.banned(ATTACKER) is None
    assert who.bans() == []


def test_who_is_banned_waits_for_nothing_and_is_not_banned_anew() -> None:
    clock = FakeClock()
    who = guard(clock)
    fail(who)

    clock.advance(300)

    assert set(fail(who, times=50)) == {Decision(0, EPOCH + 600)}
    assert [each.count for each in who.bans()] == [1]


def test_each_further_ban_is_twice_as_long_up_to_the_longest() -> None:
    clock = FakeClock()
    who = guard(clock, longest=Seconds(3000))
    lengths = []
    for _ in range(5):
        until = fail(who)[-1].banned_until
        assert until is not None
        lengths.append(until - clock.now())
        clock.advance(until - clock.now() + 1)

    assert lengths == [600, 1200, 2400, 3000, 3000]


def test_earlier_bans_are_forgotten_after_a_long_quiet() -> None:
    clock = FakeClock()
    who = guard(clock)
    fail(who)

    clock.advance(600 + 86400)
    fail(who)

    assert [each.count for each in who.bans()] == [1]


def test_with_failures_0_nobody_is_banned() -> None:
    who = guard(failures=0)

    fail(who, times=100)

    assert who.banned(ATTACKER) is None


def test_who_is_exempt_waits_but_is_not_banned() -> None:
    who = guard(exempt=("192.0.2.0/24", "2001:db8::/32"))

    for address in (ATTACKER, "2001:db8::1", "::ffff:192.0.2.3"):
        assert fail(who, address, 20)[-1] == Decision(15)
        who.ban(parse_network("0.0.0.0/0"))
        who.ban(parse_network("::/0"))
        assert who.banned(address) is None


def test_what_has_no_address_is_not_banned() -> None:
    who = guard()
    who.ban(parse_network("::/0"))

    for nobody in ("", "unknown"):
        assert fail(who, nobody, 20)[-1] == Decision(15)
        assert who.banned(nobody) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("192.0.2.1", "::ffff:c000:201"),
        ("2001:db8::1", "2001:db8::dead:beef"),
        ("2001:db8::1", "2001:db8::1%eth0"),
    ],
)
def test_one_network_in_two_forms_is_counted_together(one: str, other: str) -> None:
    who = guard()

    fail(who, one, 5)
    fail(who, other, 5)

    assert who.banned(one) == who.banned(other) is not None


def test_a_new_configuration_counts_from_the_next_failure_on() -> None:
    who = guard()
    fail(who, times=4)

    who.reload(Rules(failures=5, exempt=(OWNER,)))

    assert who.failed(ATTACKER).banned_until == EPOCH + 600
    assert fail(who, OWNER)[-1].banned_until is None


# bounds


def test_who_was_idle_longest_is_forgotten_when_there_are_too_many() -> None:
    who = guard(networks=100)
    fail(who, ATTACKER, 9)
    fail(who, OWNER, 9)
    for n in range(98):
        who.failed(f"203.0.113.{n}")
    who.failed(ATTACKER)  # the tenth
    for n in range(98, 200):
        who.failed(f"203.0.113.{n}")

    assert who.banned(ATTACKER)
    assert who.failed(OWNER).delay == 1


def test_bans_are_bounded_like_failures() -> None:
    who = guard(failures=1, networks=100)

    for n in range(150):
        who.failed(f"203.0.113.{n}")

    assert len(who.kept()) == 100
    assert who.banned("203.0.113.149")
    assert who.banned("203.0.113.0") is None


def test_failures_that_no_longer_count_are_forgotten_little_by_little() -> None:
    clock = FakeClock()
    who = guard(clock)
    for n in range(100):
        who.failed(f"203.0.113.{n}")
    clock.advance(600)

    fail(who, times=5)
    fail(who, OWNER, times=5)

    assert len(who._failures) == 100 - 2 * 10 + 2


# by hand


@pytest.mark.parametrize(
    ("given", "inside", "outside"),
    [
        ("203.0.113.0/24", "203.0.113.9", "203.0.114.9"),
        ("203.0.113.9", "::ffff:203.0.113.9", "203.0.113.8"),
        ("2001:db8::/32", "2001:db8:1:2::3", "2001:db9::1"),
        ("::/0", "2001:db8::", "192.0.2.1"),
        ("0.0.0.0/0", "192.0.2.1", "2001:db8::"),
    ],
)
def test_a_network_is_banned_by_hand(given: str, inside: str, outside: str) -> None:
    who = guard()
    who.ban(parse_network("198.51.100.0/24"))

    who.ban(parse_network(given))

    assert who.banned(inside) == inf
    assert who.banned(outside) is None


def test_a_ban_by_hand_ends_in_time_and_the_longest_counts() -> None:
    clock = FakeClock()
    who = guard(clock)
    fail(who)
    who.ban(parse_network("192.0.2.0/24"), 3600)

    assert who.banned(ATTACKER) == EPOCH + 3600
    clock.advance(3600)
    assert who.banned(ATTACKER) is None


def test_bans_by_hand_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_guard, "BY_HAND", 2)
    clock = FakeClock()
    who = guard(clock)
    who.ban(parse_network("192.0.2.1"), 60)
    who.ban(parse_network("192.0.2.2"))
    who.ban(parse_network("192.0.2.2"), 60)  # the same again

    with pytest.raises(ValueError, match="there are 2 bans already"):
        who.ban(parse_network("192.0.2.3"))
    clock.advance(61)
    who.ban(parse_network("192.0.2.3"))

    assert [str(each.network) for each in who.bans()] == ["192.0.2.3/32"]


def test_bans_are_given_newest_first() -> None:
    clock = FakeClock()
    who = guard(clock)
    who.ban(parse_network("203.0.113.0/24"), 3600)
    clock.advance(5)
    fail(who)

    assert who.bans() == [
        ban("192.0.2.1", EPOCH + 605, 1, since=EPOCH + 5),
        ban("203.0.113.0/24", EPOCH + 3600),
    ]


@pytest.mark.parametrize("given", ["192.0.2.1", "192.0.2.0/24", "0.0.0.0/0", None])
def test_what_is_lifted_is_served_again_and_begins_anew(given: str | None) -> None:
    who = guard()
    fail(who)
    who.ban(parse_network("192.0.2.0/28"))
    who.ban(parse_network("2001:db8::/32"))

    lifted = who.lift(None if given is None else parse_network(given))

    assert [str(each.network) for each in lifted if each.network.version == 4] == [
        "192.0.2.1/32",
        "192.0.2.0/28",
    ]
    assert who.banned(ATTACKER) is None
    assert (who.banned("2001:db8::1") is None) is (given is None)
    assert fail(who)[-1].banned_until == EPOCH + 600  # the first ban again


def test_lifting_what_is_not_banned_lifts_nothing() -> None:
    who = guard()
    fail(who)

    assert who.lift(parse_network("203.0.113.0/24")) == []
    assert who.banned(ATTACKER)


def test_a_ban_of_a_network_that_is_exempt_as_a_whole_would_be_without_effect() -> None:
    who = guard(exempt=("192.0.2.0/24",))

    assert who.exempts(parse_network("192.0.2.0/25"))
    assert not who.exempts(parse_network("192.0.0.0/16"))


# what outlives the process


def test_what_is_kept_is_taken_up_again() -> None:
    clock = FakeClock()
    before = guard(clock)
    fail(before)
    fail(before, "2001:db8::1")
    before.ban(parse_network("203.0.113.0/24"))

    after = guard(clock)
    after.restore(before.kept())

    assert after.bans() == before.bans()
    for address in (ATTACKER, "2001:db8::2", "203.0.113.1"):
        assert after.banned(address) == before.banned(address) is not None
    clock.advance(601)
    assert fail(after)[-1].banned_until == clock.now() + 1200


def test_a_ban_of_failures_that_was_widened_in_the_file_is_one_by_hand() -> None:
    who = guard()

    who.restore([ban("192.0.2.0/24", EPOCH + 60, 3)])

    assert who.banned("192.0.2.200") == EPOCH + 60


def test_bans_by_hand_do_not_count_against_who_is_remembered_when_taken_up_either() -> None:
    who = guard(networks=100)
    given = [ban(f"203.0.113.{n}") for n in range(150)]

    who.restore([ban("192.0.2.1", EPOCH + 60, 3), *given])

    assert who.banned(ATTACKER) == EPOCH + 60
    assert len(who.bans()) == 151


def test_who_keeps_them_hears_of_every_change() -> None:
    who, heard = guard(), []
    who.changed = lambda: heard.append(len(who.bans()))

    fail(who, times=9)
    assert heard == []
    fail(who, times=1)
    who.ban(parse_network("203.0.113.0/24"))
    who.lift(parse_network("203.0.113.0/24"))

    assert heard[:2] == [1, 2]
    assert heard[-1] == 1


def test_a_ban_and_its_end_by_hand_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "notqmail")
    who = guard()

    fail(who)
    who.ban(parse_network("203.0.113.0/24"))
    who.lift()

    first, *rest = caplog.records
    assert (first.getMessage(), first.fields) == (
        "banned",
        {"network": "192.0.2.1/32", "until": int(EPOCH) + 600, "count": 1},
    )
    assert [each.getMessage() for each in rest] == ["banned", "ban-lifted", "ban-lifted"]
    assert rest[0].fields["until"] == "-"


# what always holds

attackers = st.one_of(
    st.ip_addresses(v=4, network="203.0.113.0/28").map(str),
    st.ip_addresses(v=4, network="203.0.113.0/28").map(lambda a: f"::ffff:{a}"),
    st.integers(0, 1 << 80).map(lambda host: str(IPv6Address(0x20010DB8 << 96 | host))),
)
steps = st.lists(st.tuples(attackers, st.floats(0, 4000)), max_size=60)


@given(steps, st.integers(0, 5))
def test_the_bounds_always_hold_and_the_owner_is_never_affected(
    attack: list[tuple[str, float]], failures: int
) -> None:
    clock = FakeClock()
    rules = Rules(failures=failures, networks=100, longest=Seconds(5000))
    who = LoginGuard(rules, clock)
    for address, passed in attack:
        decision = who.failed(address)

        assert 0 <= decision.delay <= rules.longest_delay
        assert who.banned(address) == decision.banned_until
        if decision.banned_until is not None:
            assert clock.now() < decision.banned_until <= clock.now() + rules.longest
        assert who.banned(OWNER) is None
        assert len(who.kept()) <= 100
        clock.advance(passed)

    assert who.failed(OWNER).delay == rules.delay


@given(steps)
def test_what_one_network_does_changes_nothing_for_another(
    attack: list[tuple[str, float]],
) -> None:
    clock, alone = FakeClock(), FakeClock()
    shared, single = guard(clock, failures=3), guard(alone, failures=3)
    one = attack[0][0] if attack else OWNER
    for address, passed in attack:
        decision = shared.failed(address)
        if client_network(address) == client_network(one):
            assert single.failed(one) == decision
        clock.advance(passed)
        alone.advance(passed)


@given(st.lists(st.floats(0, 100), max_size=50))
def test_in_any_window_no_more_than_the_allowed_failures_are_answered(gaps: list[float]) -> None:
    clock = FakeClock()
    who = guard(clock)
    answered: list[float] = []
    for gap in gaps:
        clock.advance(gap)
        if who.banned(ATTACKER) is None:
            who.failed(ATTACKER)
            answered.append(clock.monotonic())

    for start in answered:
        assert sum(start <= at < start + 600 for at in answered) <= 10

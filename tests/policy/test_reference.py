"""References: short, readable, never the same twice."""

import re

from hypothesis import given
from hypothesis import strategies as st

from notqmail.policy.reference import References
from tests.support.clock import FakeClock


def test_a_reference_is_eight_signs_that_cannot_be_misread() -> None:
    assert re.fullmatch(r"[A-Z2-9]{8}", References(FakeClock().now)())


def test_references_of_one_moment_differ() -> None:
    make = References(FakeClock().now)

    assert len({make() for _ in range(10_000)}) == 10_000


def test_neighbours_do_not_look_alike() -> None:
    make = References(FakeClock().now)
    first, second = make(), make()

    assert sum(a != b for a, b in zip(first, second, strict=True)) >= 4


@given(st.lists(st.floats(0, 1e9), max_size=50))
def test_a_clock_that_jumps_back_repeats_nothing(times: list[float]) -> None:
    ahead = iter(times)
    make = References(lambda: next(ahead))

    assert len({make() for _ in times}) == len(times)


def test_a_restart_repeats_nothing() -> None:
    clock = FakeClock()
    before = {make() for make in [References(clock.now)] for _ in range(100)}
    clock.advance(1.0)

    assert before.isdisjoint({make() for make in [References(clock.now)] for _ in range(100)})


def test_two_thousand_references_in_a_second_do_not_run_ahead_of_the_clock() -> None:
    clock = FakeClock()
    busy = References(clock.now)
    for _ in range(2000):
        busy()
    clock.advance(1.0)

    assert busy() == References(clock.now)()

"""When to try again."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail.queue.schedule import LOCAL_SKIP, REMOTE_SKIP, next_retry, quadratic

BORN = 1_800_000_000.0
WEEK = 7 * 86400.0


def attempts(born: float, *, local: bool) -> list[float]:
    """Ages of all attempts in a week when each one ends at once."""
    ages, now = [0.0], born
    while now < born + WEEK:
        now = next_retry(born, now, local=local, deadline=born + WEEK)
        ages.append(now - born)
    return ages


def test_remote_attempts_come_at_the_squares_of_multiples_of_twenty() -> None:
    ages = attempts(BORN, local=False)

    assert ages[:5] == [0, 400, 1600, 3600, 6400]
    assert ages[6] == 14400  # four hours: when the delay notice is due


def test_local_attempts_are_twice_as_dense() -> None:
    assert attempts(BORN, local=True)[:4] == [0, 100, 400, 900]


def test_last_attempt_is_at_the_end_of_the_lifetime() -> None:
    assert attempts(BORN, local=False)[-1] == WEEK


@pytest.mark.parametrize(
    ("age", "skip", "due"),
    [
        (0, REMOTE_SKIP, 400),
        (399, REMOTE_SKIP, 39**2),
        (400, REMOTE_SKIP, 1600),
        (99, LOCAL_SKIP, 361),
    ],
)
def test_quadratic_is_the_formula_of_qmail_send(age: float, skip: int, due: float) -> None:
    assert quadratic(BORN, BORN + age, skip) == BORN + due


def test_birth_in_the_future_counts_as_now_was_the_birth() -> None:
    assert quadratic(BORN + 100, BORN, REMOTE_SKIP) == BORN + 100 + 400


def test_birth_years_ahead_does_not_park_a_message_for_years() -> None:
    assert next_retry(BORN + 10 * 365 * 86400, BORN) == BORN + 86400


def test_steps_replace_the_schedule_and_the_last_one_repeats() -> None:
    dues = [next_retry(BORN, BORN, steps=(60, 300), attempts=n) - BORN for n in range(4)]

    assert dues == [60, 300, 300, 300]


@given(
    age=st.floats(0, 40 * 86400),
    local=st.booleans(),
    steps=st.lists(st.floats(0.001, 1e6), max_size=3),
    tried=st.integers(0, 100),
)
def test_next_attempt_is_always_later(
    age: float, local: bool, steps: list[float], tried: int
) -> None:
    now = BORN + age

    assert (
        next_retry(BORN, now, local=local, steps=steps, attempts=tried, deadline=BORN + WEEK) > now
    )


def test_waits_only_grow() -> None:
    ages = attempts(BORN, local=False)[:-1]
    waits = [later - earlier for earlier, later in pairwise(ages)]

    assert waits == sorted(waits)


def test_an_attempt_that_ends_at_its_deadline_is_not_followed_at_once() -> None:
    assert next_retry(BORN, BORN + 400, deadline=BORN + 400) == BORN + 1600


def test_a_remote_first_attempt_is_meant_where_nothing_is_said() -> None:
    assert next_retry(BORN, BORN) == next_retry(BORN, BORN, local=False)
    assert next_retry(BORN, BORN, steps=[5.0, 60.0]) == BORN + 5


def test_a_retry_is_never_sooner_than_in_a_second() -> None:
    assert next_retry(BORN, BORN, steps=[0.0]) == BORN + 1

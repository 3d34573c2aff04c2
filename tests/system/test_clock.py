import time

from notqmail.system.clock import SystemClock


def test_now_is_the_wall_clock() -> None:
    before, now, after = time.time(), SystemClock().now(), time.time()

    assert before <= now <= after


def test_monotonic_never_goes_back() -> None:
    clock = SystemClock()

    assert clock.monotonic() <= clock.monotonic()

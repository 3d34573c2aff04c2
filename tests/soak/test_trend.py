"""A rising series is found, noise is not."""

import random

import pytest

from tests.soak.trend import BINS, fit

HOURS = 8.0


def _series(
    slope: float, noise: float, count: int = 2000, seed: int = 1
) -> list[tuple[float, float]]:
    chance = random.Random(seed)
    times = [HOURS * n / count for n in range(count)]
    return [(at, 100 + slope * at + chance.gauss(0, noise)) for at in times]


def test_straight_rise_is_its_slope() -> None:
    trend = fit(_series(slope=3, noise=0))

    assert trend is not None
    assert trend.slope == pytest.approx(3)
    assert trend.rise == pytest.approx(3 * trend.hours)


@pytest.mark.parametrize("seed", range(5))
def test_rise_in_noise_is_found(seed: int) -> None:
    trend = fit(_series(slope=1, noise=5, seed=seed))

    assert trend is not None
    assert trend.low > 0
    assert trend.low <= 1 <= trend.high


@pytest.mark.parametrize("seed", range(5))
def test_noise_does_not_rise(seed: int) -> None:
    trend = fit(_series(slope=0, noise=5, seed=seed))

    assert trend is not None
    assert trend.low <= 0 <= trend.high
    assert trend.rise == 0


def test_fall_is_no_rise() -> None:
    trend = fit(_series(slope=-2, noise=1))

    assert trend is not None
    assert trend.rise == 0


def test_spikes_do_not_move_the_slope() -> None:
    samples = _series(slope=0, noise=1)
    samples[-20:] = [(at, 100_000.0) for at, _ in samples[-20:]]

    trend = fit(samples)

    assert trend is not None
    assert trend.slope == pytest.approx(0, abs=0.1)


def test_step_is_a_rise() -> None:
    trend = fit([(at, 100.0 if at < 4 else 130.0) for at, _ in _series(0, 0)])

    assert trend is not None
    assert trend.slope > 0


def test_many_samples_are_joined() -> None:
    trend = fit(_series(slope=1, noise=0, count=BINS * 50))

    assert trend is not None
    assert trend.slope == pytest.approx(1)


def test_few_samples_say_nothing() -> None:
    assert fit(_series(slope=1, noise=0, count=5)) is None

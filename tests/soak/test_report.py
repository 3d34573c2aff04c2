"""Which series are judged, and how."""

from dataclasses import replace

from tests.soak.report import JUDGED, rows, table
from tests.soak.sample import Sample

MB = 1 << 20
CALM = Sample(
    at=0.0,
    rss=60 * MB,
    pss=40 * MB,
    descriptors=30,
    threads=12,
    tasks=8,
    sessions=3,
    queue=5,
    oldest=20.0,
    disk=10 * MB,
    journal=4 * MB,
    lag=0.002,
)
HOUR = 3600.0


def _hour(rss_per_hour: float = 0.0) -> list[Sample]:
    times = [5.0 * n for n in range(720)]
    return [replace(CALM, at=at, rss=int(CALM.rss + rss_per_hour * at / HOUR)) for at in times]


def _rising(samples: list[Sample], seconds: float) -> list[str]:
    return [row.watched.name for row in rows(samples, seconds) if row.rises]


def test_steady_hour_is_steady() -> None:
    assert _rising(_hour(), HOUR) == []


def test_memory_that_grows_is_named() -> None:
    assert _rising(_hour(rss_per_hour=20 * MB), HOUR) == ["memory, RSS"]


def test_growth_within_the_tolerance_is_no_rise() -> None:
    assert _rising(_hour(rss_per_hour=2 * MB), HOUR) == []


def test_growth_in_the_warm_up_is_no_rise() -> None:
    samples = [replace(s, rss=s.rss // 2) if s.at < HOUR / 10 else s for s in _hour()]

    assert _rising(samples, HOUR) == []


def test_short_run_is_not_judged() -> None:
    samples = [replace(s, at=s.at / 100) for s in _hour(rss_per_hour=1000 * MB)]

    assert _rising(samples, JUDGED / 2) == []
    assert "too short to say" in table(rows(samples, JUDGED / 2))


def test_one_sample_gives_a_table_without_slopes() -> None:
    assert "| – |" in table(rows([CALM], 1.0))

"""Which series are judged, and how."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.soak.report import JUDGED, record, rows, table
from tests.soak.sample import Sample

MB = 1 << 20
CALM = Sample(
    at=0.0,
    rss=60 * MB,
    anonymous=40 * MB,
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


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text("before\n<!-- begin: soak -->\nNot run yet.\n<!-- end: soak -->\nafter\n")
    return path


def test_first_run_is_recorded(page: Path) -> None:
    assert record(page, 0.5, "what was seen", [])

    assert "**0.50 hours**" in page.read_text()
    assert "Not run yet" not in page.read_text()


def test_shorter_run_is_not_recorded(page: Path) -> None:
    record(page, 2.0, "the long one", [])

    assert not record(page, 1.0, "the short one", [])
    assert "the long one" in page.read_text()


def test_longer_run_is_recorded_with_what_was_wrong(page: Path) -> None:
    record(page, 2.0, "the short one", [])

    assert record(page, 3.0, "the long one", ["threads rise"])
    assert "- threads rise" in page.read_text()
    assert "the short one" not in page.read_text()

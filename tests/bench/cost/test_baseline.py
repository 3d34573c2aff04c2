"""What is compared with what, and what is said about it; nothing is counted here."""

import json
from pathlib import Path

import pytest

from tests.bench.cost import report
from tests.bench.cost.baseline import Baseline, Verdict, judge, load, save
from tests.bench.cost.shapes import SHAPES
from tests.bench.cost.valgrind import Counts

BASE = Baseline("abc1234", "2026-11-22", "CPython 3.11.7", {"receive": 4.0, "queue": 3.0})


def counts(**ratios: float) -> Counts:
    return Counts(1000.0, {name: ratio * 1000.0 for name, ratio in ratios.items()})


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        (4.0, Verdict.OK),
        (4.5, Verdict.OK),
        (4.7, Verdict.GROWN),
        (3.5, Verdict.OK),
        (3.3, Verdict.SHRUNK),
    ],
)
def test_fifteen_percent_either_way_is_worth_a_word(ratio: float, verdict: Verdict) -> None:
    [line] = judge(counts(receive=ratio), BASE)

    assert line.verdict is verdict


def test_another_build_of_python_moves_the_reference_too() -> None:
    [line] = judge(Counts(2000.0, {"receive": 8000.0}), BASE)

    assert line.change == 0.0


def test_a_shape_without_a_baseline_fails_nothing() -> None:
    lines = judge(counts(road=9.0), BASE)

    assert lines[0].verdict is Verdict.NEW
    assert not report.grown(lines)


def test_growth_is_told_with_its_shape_its_size_and_the_remedy() -> None:
    [remark] = report.remarks(judge(counts(receive=4.8, queue=3.0), BASE), BASE)

    assert "shape receive costs 20% more since abc1234" in remark
    assert "scripts/cost --profile receive" in remark
    assert "scripts/cost --update" in remark


def test_shrinkage_asks_for_a_new_baseline_and_fails_nothing() -> None:
    lines = judge(counts(receive=3.0), BASE)
    [remark] = report.remarks(lines, BASE)

    assert "25% less" in remark
    assert "scripts/cost --update" in remark
    assert json.loads(report.as_json(lines, counts(receive=3.0)))["ok"]


def test_a_baseline_is_read_as_it_was_saved(tmp_path: Path) -> None:
    saved = save(counts(receive=4.0), tmp_path / "baseline.json")

    assert load(tmp_path / "baseline.json") == saved
    assert saved.shapes == {"receive": 4.0}


def test_saving_one_shape_keeps_the_others(tmp_path: Path) -> None:
    save(counts(receive=4.0, queue=3.0), tmp_path / "baseline.json")

    saved = save(counts(queue=2.0), tmp_path / "baseline.json")

    assert saved.shapes == {"receive": 4.0, "queue": 2.0}


def test_another_version_of_python_has_no_baseline(tmp_path: Path) -> None:
    save(counts(receive=4.0), tmp_path / "baseline.json")

    assert load(tmp_path / "baseline.json", "2.7") is None


def test_the_columns_of_the_table_are_aligned() -> None:
    lines = report.table(judge(counts(receive=4.4, queue=3.0), BASE)).splitlines()

    assert len({len(line) for line in lines}) == 1
    assert "+10.0%" in lines[1]


def test_the_committed_baseline_knows_every_shape() -> None:
    known = load(python="3.11")

    assert known is not None
    assert set(known.shapes) == set(SHAPES)

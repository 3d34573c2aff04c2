"""The figures as JSON, and whether the targets are reached."""

import json

import pytest

from tests.bench.fakes import ABOUT
from tests.bench.peer import Figures
from tests.bench.quick import document, missing, reached
from tests.bench.results import Outcome, Results

FAST = {"W1": 3.0, "W1k": 3.0, "W2": 2.0}
CHEAP = {"W1": 0.33, "W1-100": 0.2, "W1k": 0.33, "W2": 0.33}


def test_targets_are_reached_at_their_values() -> None:
    assert reached(FAST, CHEAP)


@pytest.mark.parametrize("slow", [{"W1": 2.99}, {"W1k": 2.9}, {"W2": 1.99}])
def test_a_rate_below_its_target_is_not_ok(slow: dict[str, float]) -> None:
    assert not reached(FAST | slow, CHEAP)


def test_cpu_above_a_third_is_not_ok_in_any_workload() -> None:
    assert not reached(FAST, CHEAP | {"W1-100": 0.34})


@pytest.mark.parametrize("name", FAST)
def test_what_was_not_measured_is_not_ok(name: str) -> None:
    without = {key: value for key, value in FAST.items() if key != name}

    assert not reached(without, CHEAP)
    assert not reached(FAST, {key: value for key, value in CHEAP.items() if key != name})


def test_the_document_has_figures_ratios_and_targets() -> None:
    figures = {"notqmail": Figures(900, 0.5, 45_000_000), "postfix": Figures(300, 2, 70_000_000)}
    results = Results([Outcome("W1", name, 1, each) for name, each in figures.items()])

    found = document(ABOUT, ["W1"], list(figures), results)

    assert found == json.loads(json.dumps(found))
    assert found["figures"]["W1"]["notqmail"] == {
        "rate": {"median": 900, "min": 900, "max": 900},
        "cpu_ms": 0.5,
        "peak_memory_mb": 45.0,
    }
    assert found["ratios"] == {"W1": 3}
    assert found["cpu_ratios"] == {"W1": 0.25}
    assert found["targets"]["ratios"] == {"W1": 3, "W1k": 3, "W2": 2}
    assert found["stages"] == ["recipient validation", "Received", "journal"]
    assert (found["commit"], found["ok"]) == ("abc1234", False)


def test_what_could_not_be_measured_is_told() -> None:
    results = Results(
        [
            Outcome("W1", "exim", 1, failure="it hung"),
            Outcome("W2", "haraka", 1, absence="npm is not there"),
        ]
    )

    assert missing(["W1", "W2"], ["exim", "haraka"], results) == [
        "exim failed W1: it hung",
        "haraka could not be measured on W2: npm is not there",
    ]
    found = document(ABOUT, ["W1", "W2"], ["exim", "haraka"], results)["figures"]
    assert found["W1"]["exim"] == {"failed": "it hung"}
    assert found["W2"]["haraka"] == {"not_measured": "npm is not there"}

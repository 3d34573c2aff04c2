"""Medians, and ratios within one round."""

from tests.bench.peer import Figures
from tests.bench.results import Outcome, Results, Spread, cpu, memory, rate


def _results(**rates: list[float]) -> Results:
    return Results(
        [
            Outcome("W1", server, round_, Figures(each, each / 100))
            for server, all_rates in rates.items()
            for round_, each in enumerate(all_rates, 1)
        ]
    )


def test_a_spread_is_the_median_with_its_range() -> None:
    assert _results(ours=[300, 100, 250]).spread("W1", "ours", rate) == Spread(250, 100, 300)


def test_there_is_no_spread_of_what_was_not_measured() -> None:
    results = _results(ours=[300])

    assert results.spread("W1", "theirs", rate) is None
    assert results.spread("W1", "ours", memory) is None


def test_a_ratio_is_the_median_of_those_within_one_round() -> None:
    results = _results(ours=[300, 100, 900], theirs=[100, 100, 200])

    assert (
        results.ratio("W1", "ours", "theirs", rate) == 3
    )  # of 3, 1 and 4.5; of the medians: 3 too few
    assert results.ratio("W1", "ours", "theirs", cpu) == 3


def test_a_ratio_leaves_out_rounds_that_only_one_has() -> None:
    results = _results(ours=[300, 100], theirs=[100])

    assert results.ratio("W1", "ours", "theirs", rate) == 3
    assert results.ratio("W1", "ours", "nobody", rate) is None


def test_the_first_failure_is_told() -> None:
    results = Results(
        [Outcome("W1", "ours", 1, Figures(1)), Outcome("W1", "ours", 2, failure="it hung")]
    )

    assert results.failure("W1", "ours") == "it hung"
    assert results.failure("W2", "ours") == ""
    assert results.absence("W1", "ours") == ""


def test_memory_is_in_millions_of_octets() -> None:
    assert memory(Figures(memory=12_500_000)) == 12.5

"""The report as it is read."""

import pytest

from tests.bench.fakes import ABOUT, FakePeer, FakeWorkload, contestant
from tests.bench.peer import Figures
from tests.bench.report import number, render, shortened, table
from tests.bench.results import Outcome, Results
from tests.bench.workloads import workload

WORK = FakeWorkload("W6", "20,000 messages", "messages/s")


def _results(*outcomes: Outcome) -> Results:
    return Results(list(outcomes))


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("|")]


def test_a_row_has_rate_ratio_cpu_memory_and_what_only_this_workload_has() -> None:
    results = _results(
        *(Outcome("W6", "notqmail", n, Figures(n * 1000, 0.456, 45_600_000)) for n in (1, 2, 3)),
        *(
            Outcome("W6", "postfix", n, Figures(500, 2.5, 70_000_000, {"s until it greets": 0.25}))
            for n in (1, 2, 3)
        ),
    )

    text = render(ABOUT, [WORK], [contestant("notqmail"), contestant("postfix")], results)

    assert _lines(text) == [
        "| server   | version |          messages/s | × Postfix | CPU ms/message | peak MB | s until it greets |",
        "| -------- | ------- | ------------------: | --------: | -------------: | ------: | ----------------: |",
        "| Notqmail | 1.0     | 2,000 (1,000–3,000) |      4.00 |           0.46 |    45.6 |                   |",
        "| Postfix  | 1.0     |       500 (500–500) |      1.00 |           2.50 |    70.0 |              0.25 |",
    ]


def test_it_says_what_the_figures_belong_to_and_what_was_set() -> None:
    text = render(ABOUT, [WORK], [contestant("postfix")], _results())

    for words in ("`scripts/bench`", "`abc1234`", "2026-11-22", "2 CPUs", "journaled ext4", "0.2"):
        assert words in text
    assert "recipient validation, Received, journal; nothing that asks DNS" in text
    assert "- **Postfix 1.0**: nothing was set." in text


def test_a_server_that_failed_stays_in_the_table_with_the_reason() -> None:
    results = _results(
        Outcome("W6", "exim", 1, failure="no more come\nat all | <!-- end: bench -->")
    )

    text = render(ABOUT, [WORK], [contestant("exim")], results)

    assert " failed |" in text
    assert "\nFailed: Exim (no more come at all \\| &lt;!-- end: bench -->)." in text


def test_a_server_that_lacks_something_is_named_below_the_table() -> None:
    peer = FakePeer("Chasquid", missing={"W6": "its queue is small"})
    servers = [contestant("postfix"), contestant("chasquid", peer)]
    variant = FakeWorkload("W6-200k", "200,000 messages", "messages/s")

    text = render(ABOUT, [variant], servers, _results())

    assert "Not measured: Chasquid (its queue is small)." in text
    assert not any("Chasquid" in line for line in _lines(text))


def test_a_server_that_was_not_there_is_named_below_the_table() -> None:
    results = _results(Outcome("W6", "exim", 1, absence="nobody has set it up"))

    text = render(ABOUT, [WORK], [contestant("exim")], results)

    assert "Not measured: Exim (nobody has set it up)." in text


def test_columns_without_a_figure_are_left_out() -> None:
    results = _results(Outcome("W5", "postfix", 1, Figures(memory=1_650_000, more={"KB": 12.34})))

    text = render(ABOUT, [FakeWorkload("W5", unit="")], [contestant("postfix")], results)

    assert _lines(text)[0] == "| server  | version | peak MB |   KB |"
    assert _lines(text)[2] == "| Postfix | 1.0     |    1.65 | 12.3 |"


def test_letters_beyond_ascii_stand_in_line() -> None:
    assert table(["server", "×"], [["Пост", "ö"]]).splitlines() == [
        "| server | × |",
        "| ------ | - |",
        "| Пост   | ö |",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0, "0.00"),
        (0.0123, "0.012"),
        (0.456, "0.46"),
        (12.34, "12.3"),
        (123.4, "123"),
        (45678.9, "45,679"),
    ],
)
def test_a_number_has_the_digits_that_count(value: float | None, text: str) -> None:
    assert number(value) == text


def test_a_long_reason_is_cut() -> None:
    assert shortened("x" * 101) == "x" * 99 + "…"


def test_the_title_of_a_workload_follows_the_number_of_messages() -> None:
    text = render(ABOUT, [workload("W1", 50)], [contestant("postfix")], _results())

    assert "### W1\n\nup to 50 messages of 4096 octets, one per connection, 20 at once" in text

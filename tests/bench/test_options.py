"""The command line: what is measured by default, what may be recorded, what is refused."""

import pytest

from tests.bench.options import parse
from tests.bench.servers import SERVERS, server
from tests.bench.workloads import WORKLOADS, workload
from tests.support.programs import ROOT


def test_everything_is_measured_and_recorded() -> None:
    options = parse([])

    assert options.workloads == tuple(WORKLOADS)
    assert options.servers == SERVERS
    assert (options.rounds, options.record, options.json) == (3, True, False)


def test_quick_is_a_few_workloads_against_postfix_and_not_recorded() -> None:
    options = parse(["--quick", "--json"])

    assert options.workloads == ("W1", "W1-100", "W1k", "W2")
    assert options.servers == ("notqmail", "postfix")
    assert (options.json, options.record) == (True, False)
    assert parse(["--quick", "--record"]).record


def test_a_selection_keeps_the_order_of_the_report_and_is_not_recorded() -> None:
    options = parse(["--workloads", "W2", "W1", "--servers", "postfix", "notqmail"])

    assert options.workloads == ("W1", "W2")
    assert options.servers == ("notqmail", "postfix")
    assert not options.record
    assert options.command == "scripts/bench --workloads W2 W1 --servers postfix notqmail"


def test_a_whole_run_need_not_be_recorded() -> None:
    assert not parse(["--no-record"]).record


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--workloads W9", "invalid choice: 'W9'"),
        ("--servers sendmail", "invalid choice: 'sendmail'"),
        ("--rounds 0", "--rounds and --messages must be at least 1"),
        ("--rounds many", "invalid int value: 'many'"),
        ("--messages -1", "--rounds and --messages must be at least 1"),
        ("--record --workloads W1", "--record writes down whole runs only"),
        ("--record --servers postfix", "--record writes down whole runs only"),
        ("--record --messages 10", "--record writes down whole runs only"),
        ("--record --rounds 2", "--record writes down whole runs only"),
        ("--fast", "unrecognized arguments: --fast"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    arguments: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments.split())

    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("scripts/bench: ")
    assert words in said
    assert said.count("\n") == 1


def test_help_names_all_workloads_and_servers() -> None:
    script = (ROOT / "scripts" / "bench").read_text("utf-8")

    assert f"of {' '.join(WORKLOADS)} (" in script
    assert f"of {' '.join(SERVERS)}\n" in script


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_is_found_by_its_name(name: str) -> None:
    found = workload(name)

    assert found.name == name
    assert found.title


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_is_found_by_its_name(name: str) -> None:
    found = server(name)

    assert found.name.lower() == name
    assert found.notes

"""queue: what waits is shown and changed, here on the store of a server that does not run."""

import json
import os
import re
from pathlib import Path

import pytest

from tests.support.commands import Ended, init, notqmail
from tests.support.places import open_directory
from tests.support.queued import CONTENT, TRACE, put

FIRST, SECOND, THIRD = "DC1AAAAAAAAAAA", "DC1BBBBBBBBBBB", "DC1CCCCCCCCCCC"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    config = init(tmp_path / "x")
    put(config, FIRST, "alice@example.org", "bob@example.net", "eve@example.com", age=7200)
    put(config, SECOND, "", "bob@example.net", age=60)
    put(config, THIRD, "carol@example.org", "bob@example.com", age=60, login="carol@example.org")
    return config


def queue(config: Path, *arguments: object) -> Ended:
    return notqmail("queue", *arguments, "-c", config)


def waiting(config: Path, *filters: object) -> set[tuple[str, str]]:
    out = queue(config, "list", "--json", *filters).out
    return {(row["id"], row["recipient"]) for row in map(json.loads, out.splitlines())}


def test_what_waits_is_a_table_with_units(config: Path) -> None:
    ended = queue(config, "list")

    head, first, *_, count = ended.out.splitlines()
    assert ended.status == 0
    assert head.split() == [
        *["ID", "AGE", "SIZE", "STATE", "NEXT", "TRIES", "FROM", "TO", "LAST", "REPLY"]
    ]
    assert re.match(
        rf"{FIRST}\s+2h\s+\d+ B\s+deferred\s+in 59m \d+s\s+0\s+<alice@example.org>\s+(bob|eve)@example",
        first,
    )
    assert count == "4 recipients of 3 messages"


def test_an_empty_queue_is_said_to_be(tmp_path: Path) -> None:
    config = init(tmp_path / "x")

    assert queue(config, "list").out == "the queue is empty\n"
    assert queue(config, "list", "--from", "a@b").out == "nothing in the queue matches\n"
    assert queue(config, "list", "--json").out == ""


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["--from", "alice@example.org"], {(FIRST, "bob@example.net"), (FIRST, "eve@example.com")}),
        (["--from", ""], {(SECOND, "bob@example.net")}),
        (["--from", "<>"], {(SECOND, "bob@example.net")}),
        (["--to", "bob@example.net"], {(FIRST, "bob@example.net"), (SECOND, "bob@example.net")}),
        (["--to", "@example.com"], {(FIRST, "eve@example.com"), (THIRD, "bob@example.com")}),
        (["--domain", "EXAMPLE.com"], {(FIRST, "eve@example.com"), (THIRD, "bob@example.com")}),
        (["--older", "1h"], {(FIRST, "bob@example.net"), (FIRST, "eve@example.com")}),
        (["--older", "1h", "--domain", "example.com"], {(FIRST, "eve@example.com")}),
        (["--held"], set()),
        (["--login", "carol@example.org"], {(THIRD, "bob@example.com")}),
    ],
)
def test_filters_narrow(config: Path, filters: list[str], found: set[tuple[str, str]]) -> None:
    assert waiting(config, *filters) == found


def test_a_limit_says_that_there_is_more(config: Path) -> None:
    assert "2 recipients of 1 message; there may be more: --limit 20" in (
        queue(config, "list", "--limit", "2").out
    )


def test_one_message_is_shown_whole(config: Path) -> None:
    ended = queue(config, "show", FIRST)

    assert ended.status == 0
    assert f"id:       {FIRST}\n" in ended.out
    assert "from:     <alice@example.org>\n" in ended.out
    assert "(2h ago)" in ended.out
    assert [line.split()[0] for line in ended.out.splitlines()[-2:]] == [
        "bob@example.net",
        "eve@example.com",
    ]
    assert json.loads(queue(config, "show", FIRST, "--json").out)["sender"] == "alice@example.org"


def test_who_sent_a_message_is_shown(config: Path) -> None:
    assert "login:    carol@example.org\n" in queue(config, "show", THIRD).out
    assert "login:" not in queue(config, "show", FIRST).out


def test_the_message_comes_octet_for_octet(config: Path) -> None:
    out = queue(config, "cat", FIRST).out

    assert out.encode("utf-8", "surrogateescape") == TRACE + CONTENT


@pytest.mark.parametrize("command", ["show", "cat"])
def test_a_message_that_is_not_there_is_status_1(config: Path, command: str) -> None:
    ended = queue(config, command, "NONE")

    assert ended.status == 1
    assert ended.err == (
        "notqmail: no message 'NONE' is in the queue; `why` may know what became of it\n"
    )


def test_hold_and_release(config: Path) -> None:
    assert queue(config, "hold", FIRST).out == "held: 2 recipients of 1 message\n"
    assert waiting(config, "--held") == {(FIRST, "bob@example.net"), (FIRST, "eve@example.com")}
    assert queue(config, "release", FIRST).out == "released: 2 recipients of 1 message\n"
    assert waiting(config, "--held") == set()


def test_retry_makes_it_due(config: Path) -> None:
    assert queue(config, "retry", SECOND, THIRD, "--yes").out == (
        "due now: 2 recipients of 2 messages\n"
    )
    rows = map(json.loads, queue(config, "list", "--json").out.splitlines())
    assert {row["id"] for row in rows if row["state"] == "due"} == {SECOND, THIRD}


def test_delete_takes_recipients_and_leaves_the_others(config: Path) -> None:
    ended = queue(config, "delete", "--domain", "example.com", "--yes")

    assert ended.out == "deleted: 2 recipients of 2 messages\n"
    assert waiting(config) == {(FIRST, "bob@example.net"), (SECOND, "bob@example.net")}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["delete", FIRST], "This would delete 2 recipients of 1 message; add --yes."),
        (["hold", "--all"], "This would hold 4 recipients of 3 messages; add --yes."),
        (["retry", FIRST, SECOND], "This would retry 3 recipients of 2 messages; add --yes."),
        (["delete", "--yes"], "name IDs, a filter or --all"),
    ],
)
def test_what_reaches_far_or_cannot_be_undone_is_not_done_unasked(
    config: Path, arguments: list[str], sentence: str
) -> None:
    ended = queue(config, *arguments)

    assert ended.status == 2
    assert sentence in ended.err
    assert len(waiting(config)) == 4
    assert waiting(config, "--held") == set()


def test_all_means_all(config: Path) -> None:
    assert queue(config, "delete", "--all", "--yes").status == 0
    assert waiting(config) == set()


def test_nothing_that_matches_is_status_1(config: Path) -> None:
    ended = queue(config, "hold", "--from", "nobody@example.org")

    assert (ended.status, ended.err) == (1, "notqmail: nothing in the queue matches\n")


@pytest.mark.parametrize(
    "filters", [["--from", "a@@b"], ["--domain", "a..b"], ["--to", "@"], ["--older", "1 year"]]
)
def test_a_filter_that_is_none_is_one_sentence(config: Path, filters: list[str]) -> None:
    ended = queue(config, "list", *filters)

    assert ended.status == 2
    assert ended.err.count("\n") == 1


@pytest.mark.root
def test_root_leaves_no_file_that_the_server_could_not_write(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    with open_directory() as directory:
        config = init(directory / "x")
        data = config.parent / "data"
        os.chown(data, 65534, 65534)
        for name in ("users", "app-passwords", "aliases"):
            config.with_name(name).chmod(0o644)

        assert queue(config, "list").out == "the queue is empty\n"

        made = [path for path in data.iterdir() if path.name not in ("drop", "refused")]
        assert made
        assert {(path.stat().st_uid, path.stat().st_mode & 0o077) for path in made} == {(65534, 0)}
    assert os.geteuid() == 0

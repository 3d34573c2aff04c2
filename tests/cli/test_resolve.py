"""resolve and why: what the server knows, drawn for people; status 1 for no."""

import json
from pathlib import Path

import pytest

from tests.support.commands import init, notqmail


@pytest.fixture
def config(tmp_path: Path) -> Path:
    config = init(tmp_path / "x", "--user", "bob@example.org")
    config.with_name("aliases").write_text(
        "sales@example.org: team@example.org, x@example.net\n"
        "team@example.org: alice@example.org, bob@example.org\n"
        "bad@example.org: bad@example.org\n"
    )
    return config


def test_a_tree_shows_every_step(config: Path) -> None:
    ended = notqmail("resolve", "sales@example.org", "-c", config)

    assert ended.status == 0
    assert ended.out == (
        "sales@example.org  alias\n"
        "├─ team@example.org  alias\n"
        "│  ├─ alice@example.org  mailbox → local alice@example.org\n"
        "│  └─ bob@example.org  mailbox → local bob@example.org\n"
        "└─ x@example.net  remote → smtp example.net\n"
    )


def test_the_rule_that_decided_is_named(config: Path) -> None:
    ended = notqmail("resolve", "Alice+news@Example.ORG", "-c", config)

    assert ended.out == (
        "Alice+news@example.org  subaddress (alice@example.org) → local alice@example.org\n"
    )


@pytest.mark.parametrize(
    ("address", "reply"), [("nobody@example.org", "550 5.1.1"), ("bad@example.org", "554 5.4.6")]
)
def test_what_would_be_refused_is_status_1(config: Path, address: str, reply: str) -> None:
    ended = notqmail("resolve", address, "-c", config)

    assert ended.status == 1
    assert reply in ended.out


def test_programs_get_the_tree_as_json(config: Path) -> None:
    tree = json.loads(notqmail("resolve", "team@example.org", "--json", "-c", config).out)

    assert tree["accepts"]
    assert [child["hop"] for child in tree["children"]] == [
        "local:alice@example.org",
        "local:bob@example.org",
    ]


def test_what_is_no_address_is_wrong_usage(config: Path) -> None:
    ended = notqmail("resolve", "a b@example.org", "-c", config)

    assert (ended.status, ended.err.count("\n")) == (2, 1)


def test_why_nothing_is_known_is_status_1(config: Path) -> None:
    ended = notqmail("why", "K7Q2M4XW", "-c", config)

    assert ended.status == 1
    assert "Nothing is known by that name" in ended.out


def test_way_out_may_depend_on_who_sends(config: Path) -> None:
    table = '\n[[outbound.to]]\nname = "club"\nsenders = ["@club.example"]\nsmarthost = "relay.example:587"\n'
    config.write_text(config.read_text("utf-8") + table, "utf-8")

    ours = notqmail("resolve", "x@example.net", "-c", config)
    theirs = notqmail("resolve", "x@example.net", "--from", "bob@club.example", "-c", config)

    assert ours.out == "x@example.net  remote → smtp example.net\n"
    assert theirs.out == "x@example.net  remote → smtp relay.example:587;club\n"

"""check: what would not start is an error, what would not arrive a warning; each with its remedy."""

import json
import os
from pathlib import Path

import pytest

from notqmail.system.journal_file import JournalFile
from tests.support.clock import EPOCH
from tests.support.commands import init, notqmail


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return init(tmp_path / "x")


def findings(config: Path) -> tuple[int, list[dict[str, str]]]:
    ended = notqmail("check", "--json", "-c", config)
    return ended.status, [json.loads(line) for line in ended.out.splitlines()]


def only(config: Path) -> dict[str, str]:
    _, (finding,) = findings(config)
    assert finding["remedy"]
    return finding


def test_a_new_installation_is_fine(config: Path) -> None:
    ended = notqmail("check", "-c", config)

    assert (ended.status, ended.out) == (0, f"{config}: nothing to complain about\n")


def test_findings_are_a_table(config: Path) -> None:
    config.write_text(config.read_text().replace("[queue]", "[quue]"))

    ended = notqmail("check", "-c", config)

    assert ended.status == 1
    head, line = ended.out.splitlines()
    assert head.split() == ["LEVEL", "FILE", "KEY", "PROBLEM", "REMEDY"]
    assert line.split(None, 3)[:3] == ["error", str(config), "quue"]
    assert line[head.index("REMEDY") :] == "did you mean `queue`?"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('hostname = "mx.example.org"', 'hostname = "mx"', "hostname"),
        ('hostname = "mx.example.org"', "hostname = 5", "hostname"),
        ('#lifetime = "7d"', 'lifetime = "7 parsecs"', "queue.lifetime"),
        ('kind = "mx"', 'kind = "smtp"', "listen[0].kind"),
        ('name = "example.org"', 'name = "example..org"', "domain[0].name"),
        ("connections = 12000", "conections = 12000", "listen[0].limits.conections"),
    ],
)
def test_an_error_of_the_configuration_has_its_key_path(
    config: Path, old: str, new: str, key: str
) -> None:
    config.write_text(config.read_text().replace(old, new, 1))

    status, (finding,) = findings(config)

    assert status == 1
    assert (finding["level"], finding["file"], finding["key"]) == ("error", str(config), key)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    status, (finding,) = findings(tmp_path / "none.toml")

    assert status == 1
    assert (finding["file"], finding["problem"]) == (str(tmp_path / "none.toml"), "no such file")


@pytest.mark.parametrize("name", ["users", "aliases"])
def test_a_broken_line_is_named(config: Path, name: str) -> None:
    config.with_name(name).write_text("# fine\n%%%\n")

    status, (finding,) = findings(config)

    assert status == 1
    assert (finding["file"], finding["key"]) == (str(config.with_name(name)), "line 2")


def test_data_that_cannot_be_written_is_an_error(config: Path) -> None:
    config.write_text(config.read_text().replace('#data_dir = "data"', 'data_dir = "users/data"'))

    assert (only(config)["level"], only(config)["key"]) == ("error", "data_dir")


@pytest.mark.root
def test_root_without_a_user_to_become_is_an_error(config: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only for root")
    config.write_text(config.read_text().replace('#user = ""', 'user = "no-such-user"', 1))

    finding = only(config)
    assert (finding["level"], finding["file"], finding["key"]) == ("error", str(config), "user")


@pytest.mark.parametrize(
    ("aliases", "problem"),
    [
        ("sales@example.org: nobody@example.org", "there is no mailbox nobody@example.org"),
        ("@example.org: nobody@example.com, alice@example.org", ""),
        ("a@example.org: a@example.org, alice@example.org", "the alias leads back to itself"),
        ("a@example.org: alice@example.org, A+x@example.org", "the alias leads back to itself"),
        ("x@example.com: alice@example.org", "example.com is not ours"),
    ],
)
def test_an_alias_that_leads_nowhere_is_a_warning(config: Path, aliases: str, problem: str) -> None:
    config.with_name("aliases").write_text(aliases + "\n")

    status, found = findings(config)

    assert status == 0
    assert [each["problem"] for each in found] == ([problem] if problem else [])
    assert all(each["level"] == "warning" for each in found)


def test_aliases_in_a_circle_are_each_named(config: Path) -> None:
    config.with_name("aliases").write_text(
        "a@example.org: b@example.org\nb@example.org: a@example.org\n"
    )

    _, found = findings(config)

    assert [each["key"] for each in found] == ["a@example.org", "b@example.org"]


def test_aliases_too_deep_are_named(config: Path) -> None:
    lines = [f"a{n}@example.org: a{n + 1}@example.org" for n in range(12)]
    config.with_name("aliases").write_text(
        "\n".join(lines) + "\na12@example.org: alice@example.org\n"
    )

    _, found = findings(config)

    assert any("deep" in each["problem"] for each in found)


def test_a_line_of_senders_that_cannot_be_read_is_an_error(config: Path) -> None:
    senders = config.with_name("senders")
    senders.write_text("# senders\nalice@example.org office@example.org\n")

    finding = only(config)

    assert (finding["level"], finding["file"]) == ("error", str(senders))
    assert (finding["key"], finding["problem"]) == ("line 2", "not a line of senders")


def test_nobody_for_postmaster_is_a_warning(config: Path) -> None:
    config.write_text(config.read_text().replace('postmaster = "', '#postmaster = "'))

    assert (only(config)["level"], only(config)["key"]) == ("warning", "postmaster")


def test_a_postmaster_without_a_mailbox_is_a_warning(config: Path) -> None:
    notqmail("user", "remove", "alice@example.org", "-c", config)

    assert only(config)["remedy"] == "notqmail user add alice@example.org"


def test_no_domain_is_a_warning(config: Path) -> None:
    text = config.read_text().replace("[[domain]]", "").replace('name = "example.org"', "")
    config.write_text(text)

    assert (only(config)["level"], only(config)["key"]) == ("warning", "domain")


def journalled(config: Path, *addresses: str) -> None:
    file = JournalFile(config.parent / "data" / "journal.sqlite", 86400, 1 << 30)
    records = [
        {"kind": "connection", "at": EPOCH, "listener": "mx", "ip": each} for each in addresses
    ]
    file.add(records, EPOCH)
    file.close()


def hidden(config: Path) -> list[dict[str, str]]:
    return [each for each in findings(config)[1] if each["key"] == "listen[0].proxy"]


def open_to_all(config: Path) -> None:
    config.write_text(config.read_text().replace("127.0.0.1:2025", "0.0.0.0:2025"))


def test_clients_that_a_proxy_hides_are_a_warning(config: Path) -> None:
    journalled(config, *["172.17.0.1"] * 200)
    open_to_all(config)

    [finding] = hidden(config)

    assert finding["level"] == "warning"
    assert "200 of 200 clients of mx came from 172.17.0.1" in finding["problem"]
    assert "let it send the PROXY header" in finding["remedy"]


def test_on_loopback_nobody_is_hidden(config: Path) -> None:
    journalled(config, *["127.0.0.1"] * 200)

    assert findings(config) == (0, [])


def test_with_a_client_of_the_internet_nobody_is_hidden(config: Path) -> None:
    journalled(config, *["172.17.0.1"] * 200, "9.9.9.9")
    open_to_all(config)

    assert hidden(config) == []


def test_a_journal_that_cannot_be_read_is_left_alone(config: Path) -> None:
    (config.parent / "data" / "journal.sqlite").write_bytes(b"no database " * 500)

    assert findings(config) == (0, [])

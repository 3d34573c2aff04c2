"""The program as a whole: what it can, how it ends, and that it never shows a traceback unasked."""

import os
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest

from notqmail import __version__
from notqmail.cli import COMMANDS, group
from tests.support.commands import init, notqmail

MAIN = "from notqmail.cli import main; main()"
CONTEXT = click.Context(group, info_name="notqmail")


def every_command() -> list[tuple[str, click.Command]]:
    found = []
    for name in COMMANDS:
        command = group.get_command(CONTEXT, name)
        assert command is not None
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {inner}", each) for inner, each in command.commands.items()]
    return found


EVERY = every_command()
NAMES = [name for name, _ in EVERY]


def test_help_is_quick_and_imports_no_command() -> None:
    program = (
        "import sys; from notqmail.cli import run; status = run(['--help']);"
        "slow = {'asyncio', 'msgspec', 'notqmail.app', 'notqmail.config'} & set(sys.modules);"
        "sys.exit(status or str(slow) if slow else status)"
    )
    before = time.monotonic()

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)

    assert (ended.returncode, ended.stderr) == (0, b"")
    assert time.monotonic() - before < 10  # a hang, not a measurement


def test_the_group_says_what_its_commands_say_first() -> None:
    for name, where in COMMANDS.items():
        command = group.get_command(CONTEXT, name)
        assert command is not None
        assert command.help
        assert where.about
        assert where.place.startswith(f"{name}:")


@pytest.mark.parametrize("name", NAMES)
def test_every_help_has_an_example_of_its_command(name: str) -> None:
    ended = notqmail(*name.split(), "--help")

    assert ended.status == 0
    example = ended.out.partition("Example:\n")[2].strip()
    assert example.startswith(f"notqmail {name}")
    assert len(example.splitlines()) == 1


@pytest.mark.parametrize(
    "name", [n for n, c in EVERY if not isinstance(c, click.Group) and n != "init"]
)
def test_every_command_takes_a_configuration_file(name: str) -> None:
    assert "-c, --config FILE" in notqmail(*name.split(), "--help").out


@pytest.mark.parametrize("name", ["list", "show"])
def test_what_prints_records_prints_json(name: str) -> None:
    assert "--json" in notqmail("queue", name, "--help").out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["fly"], "notqmail: No such command 'fly'. See `notqmail --help`.\n"),
        (["user", "fly"], "notqmail: No such command 'fly'. See `notqmail user --help`.\n"),
        (["why"], "notqmail: Missing argument 'REF'. See `notqmail why --help`.\n"),
        (["check", "--fly"], "See `notqmail check --help`.\n"),
        (["queue", "list", "--older", "soon"], "'soon' is not a number with a unit"),
        (["init", "x", "--hostname", "a..b", "--domain", "b"], "not a domain name: 'a..b'"),
    ],
)
def test_wrong_usage_is_one_sentence_and_status_2(arguments: list[str], sentence: str) -> None:
    ended = notqmail(*arguments)

    assert ended.status == 2
    assert sentence in ended.err
    assert ended.err.count("\n") == 1


def test_a_missing_configuration_is_one_sentence_with_a_remedy(tmp_path: Path) -> None:
    ended = notqmail("user", "list", "-c", tmp_path / "none.toml")

    assert ended.status == 2
    assert ended.err == (
        f"notqmail: {tmp_path}/none.toml: no such file; "
        "make one with `notqmail init DIR --hostname H --domain D`\n"
    )


def test_an_unknown_key_is_named_with_file_path_and_nearest_known_key(tmp_path: Path) -> None:
    config = init(tmp_path / "x")
    config.write_text(config.read_text() + "\n[quue]\n")

    for command in (["serve"], ["queue", "list"], ["domain", "add", "example.net"]):
        ended = notqmail(*command, "-c", config)

        assert ended.status == 2
        assert f"{config}: quue: unknown key; did you mean `queue`?" in ended.err
        assert "Traceback" not in ended.err


def test_an_unexpected_error_is_one_sentence_unless_debugging() -> None:
    impossible = ("user", "list", "-c", "null\0character")

    ended = notqmail(*impossible)

    assert ended.status == 2
    assert "unexpected ValueError: " in ended.err
    assert ended.err.endswith("run with --debug for the traceback\n")
    assert ended.err.count("\n") == 1
    with pytest.raises(ValueError, match="null"):
        notqmail(*impossible, "--debug")


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    config = init(tmp_path / "x")
    read, write = os.pipe()
    os.close(read)

    ended = subprocess.run(
        [sys.executable, "-c", MAIN, "user", "list", "-c", str(config)],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)

    assert (ended.returncode, ended.stderr) == (1, b"")


def test_the_version_is_told() -> None:
    assert notqmail("--version").out == f"notqmail {__version__}\n"


def test_the_programs_are_installed_under_their_names() -> None:
    scripts = {script.name: script.value for script in entry_points(group="console_scripts")}

    assert scripts["notqmail"] == "notqmail.cli:main"
    assert scripts["sendmail"] == "notqmail.cli.sendmail:main"

"""What is shipped beside the code: samples that load, a unit and an image whose commands exist, a reference that is
true."""

import configparser
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from notqmail.cli import COMMANDS, group
from notqmail.config import load

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
CONTEXT = click.Context(group, info_name="notqmail")


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.toml")), ids=lambda path: path.name)
def test_a_sample_loads(path: Path) -> None:
    assert load(path).hostname


def test_what_only_sends_opens_no_port() -> None:
    for name in ("send-only.toml", "relay.toml"):
        assert load(CONFIG / name).listen == ()
    assert load(CONFIG / "relay.toml").outbound.smarthost
    assert not load(CONFIG / "send-only.toml").outbound.smarthost


def test_what_is_made_from_the_code_is_up_to_date() -> None:
    ended = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "reference.py"), "--check"],
        capture_output=True,
        check=False,
    )

    assert (ended.returncode, ended.stdout.decode()) == (0, "")


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    parser.read(CONFIG / "systemd" / "notqmail.service")
    return parser


def parses(words: list[str]) -> bool:
    """Say whether a notqmail command line is one, without running it."""
    assert Path(words[0]).name == "notqmail"
    assert words[1] in COMMANDS
    command = group.get_command(CONTEXT, words[1])
    assert command is not None
    command.make_context(words[1], words[2:], resilient_parsing=False)
    return True


def test_the_commands_of_the_unit_are_commands() -> None:
    service = unit()["Service"]

    assert parses(shlex.split(service["ExecStartPre"]))
    assert parses(shlex.split(service["ExecStart"]))


def test_the_unit_waits_for_ready_and_never_runs_as_root() -> None:
    service = unit()["Service"]

    assert (service["Type"], service["User"]) == ("notify", "notqmail")
    assert service["AmbientCapabilities"] == "CAP_NET_BIND_SERVICE"
    assert service["NoNewPrivileges"] == "yes"


def dockerfile_commands() -> Iterator[list[str]]:
    text = (CONFIG / "docker" / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if line.startswith("CMD "):
            yield [word.strip('",[]') for word in line.split()[1:]]
        if " notqmail " in line and " init " in line:
            yield shlex.split(line[line.rindex(" notqmail init") :])


def test_the_commands_of_the_image_are_commands() -> None:
    found = list(dockerfile_commands())

    assert len(found) >= 1
    assert all(map(parses, found))


def test_the_image_has_its_files() -> None:
    lines = (CONFIG / "docker" / "Dockerfile").read_text("utf-8").splitlines()
    copied = [
        word
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]

    assert copied
    assert all((ROOT / name).exists() for name in copied)
    assert not any(line.startswith("USER root") for line in lines)


def test_the_compose_file_builds_that_image() -> None:
    text = (CONFIG / "docker" / "compose.yaml").read_text("utf-8")

    assert "dockerfile: config/docker/Dockerfile" in text
    assert '- "25:25"' in text

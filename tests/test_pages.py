"""The pages for people: their links lead somewhere, and the README's commands exist."""

import re
from pathlib import Path

import pytest

from notqmail.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")
COMMAND = re.compile(r"\bnotqmail ([a-z]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_commands_of_the_readme_exist() -> None:
    blocks = re.findall(r"```\w+\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)

    named = {name for block in blocks for name in COMMAND.findall(block)}

    assert {"init", "serve", "why"} <= named <= COMMANDS.keys()


@pytest.mark.parametrize(
    "name", ["serve", "test", "venv", "peers", "lock", "bench", "fuzz", "mutants"]
)
def test_scripts_can_be_run_and_say_what_they_do(name: str) -> None:
    script = ROOT / "scripts" / name

    first, second = script.read_text("utf-8").splitlines()[:2]

    assert first == "#!/bin/sh"
    assert second.startswith("# ")
    assert script.stat().st_mode & 0o100

"""The gate: no part of a message's way through the server costs 15 % more than its baseline (scripts/cost)."""

import json
import subprocess
import sys

import pytest

from tests.support.programs import ROOT, program

pytestmark = pytest.mark.timeout(900)


def cost(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run scripts/cost with this Python."""
    program("valgrind")
    command = [sys.executable, "-m", "tests.bench.cost", "--json", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_no_shape_costs_much_more_than_its_baseline() -> None:
    counted = cost()

    assert counted.returncode == 0, counted.stderr
    assert json.loads(counted.stdout)["ok"]


def test_a_message_that_costs_18_percent_more_is_noticed() -> None:
    counted = cost("--shapes", "receive", "--extra", "18")

    assert counted.returncode == 1, counted.stderr
    assert "a message of shape receive costs" in counted.stderr

"""Hundreds of lives of a server, each from its seed; and servers with a bug, which must not get through."""

import os
import subprocess
import sys

import pytest

from tests.simulation.broken import BROKEN, Bug
from tests.simulation.scenario import run
from tests.support.programs import ROOT

SEEDS = 300
AT_ONCE = 10
WITHIN = 40  # seeds in which every bug must be found


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_every_rule_holds_in_every_life(first: int) -> None:
    broken = {seed: run(seed).violations for seed in range(first, first + AT_ONCE)}

    assert {seed: found for seed, found in broken.items() if found} == {}


@pytest.mark.parametrize("bug", BROKEN.values(), ids=list(BROKEN))
def test_a_server_with_a_bug_is_found_out(bug: Bug) -> None:
    for seed in range(WITHIN):
        found = run(seed, bug.make_disk, bug.make_program).violations
        if any(each.startswith(bug.sentence) for each in found):
            return
    pytest.fail(f"not found in {WITHIN} seeds")


def test_a_seed_has_one_trace() -> None:
    first, again = run(0), run(0)

    assert first.trace.digest == again.trace.digest
    assert len(first.trace) > 500


def test_a_seed_has_one_trace_whatever_python_hashes_with() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--seed", "1"]
    told = {
        subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(told) == 1
    assert "ok" in told.pop()

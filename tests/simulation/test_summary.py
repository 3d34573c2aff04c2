"""scripts/simulate: what it prints and records, and its exit status."""

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence

from tests.simulation.summary import Brief, Total, block
from tests.support.programs import ROOT


def ran(*violations: str) -> Brief:
    return Brief(7, violations, 100, 86400.0, 5, 9, 3, 20, 400, Counter({"crash": 2}))


def simulate(*options: str) -> subprocess.CompletedProcess[str]:
    command: Sequence[str] = [sys.executable, "-m", "tests.simulation", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_page_says_what_was_run_and_what_came_of_it() -> None:
    total = Total()
    total.add(ran())
    total.add(ran("lost: letter 3"))

    page = block(total, range(10, 12), 60.0)

    assert "scripts/simulate --seeds 2 --from 10 --record" in page
    assert "| misfortunes | 4 crash |" in page
    assert "| seeds in which a rule was broken | 1 |" in page


def test_good_seeds_are_counted_with_progress() -> None:
    told = simulate("--seeds", "2", "--from", "3", "--jobs", "1")

    assert told.returncode == 0
    assert "2/2 seeds" in told.stderr
    assert "2 seeds in" in told.stdout
    assert "0 failed" in told.stdout


def test_one_seed_shows_its_trace() -> None:
    told = simulate("--seed", "4", "--trace")

    assert told.returncode == 0
    assert "server           start 1" in told.stdout
    assert told.stdout.splitlines()[-1].startswith("seed 4: ok, trace ")


def test_a_trace_of_many_seeds_is_refused() -> None:
    told = simulate("--seeds", "5", "--trace")

    assert told.returncode == 2
    assert "--trace needs --seed" in told.stderr

"""A soak of some seconds: every kind of traffic comes to its end, everything owed comes, and all is sampled."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import ROOT, postfix_program

KINDS = (
    "10 MB",
    "20 recipients",
    "hang-up",
    "greylisted",
    "dead destination",
    "injected",
    "reload",
)


@pytest.mark.interop
@pytest.mark.root
@pytest.mark.timeout(300)  # a minute, unless the machine is busy
def test_twenty_seconds_of_everything() -> None:
    postfix_program("master")
    if os.geteuid() != 0:
        pytest.skip("Postfix can only be started by root")
    words = ("--minutes", "0.33", "--every", "1", "--rate", "5")

    ran = subprocess.run(
        [sys.executable, "-m", "tests.soak", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " 0 lost" in ran.stdout
    assert all(re.search(f"{kind} [1-9]", ran.stdout) for kind in KINDS), ran.stdout
    samples = _samples(ran.stdout)
    assert len(samples) >= 10
    assert all(int(sample["rss"]) and int(sample["tasks"]) for sample in samples)


def _samples(said: str) -> list[dict[str, str]]:
    [line] = [line for line in said.splitlines() if line.startswith("samples: ")]
    path = ROOT / Path(line.removeprefix("samples: "))
    with path.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    path.unlink()
    return found

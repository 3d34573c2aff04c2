"""The benchmark as it is run, with few messages: it measures us and Postfix and prints a table."""

import os
import subprocess
import sys

import pytest

from tests.support.programs import ROOT, postfix_program

pytestmark = pytest.mark.interop


def _bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    postfix_program("smtp-source")
    if os.geteuid() != 0:
        pytest.skip("Postfix can only be started by root")
    return subprocess.run(
        [sys.executable, "-m", "tests.bench", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.mark.timeout(300)
def test_w1_and_w2_are_measured_and_told_in_a_table() -> None:
    ran = _bench(
        *("--workloads", "W1", "W2", "--servers", "notqmail", "postfix"),
        *("--rounds", "1", "--messages", "50"),
    )

    if "a mount namespace of its own is refused" in ran.stderr:
        pytest.skip("root may not make a mount namespace here (an unprivileged container)")
    assert ran.returncode == 0, ran.stderr
    rows = [line.split("|")[1].strip() for line in ran.stdout.splitlines() if line[:1] == "|"]
    assert rows == ["server", "--------", "notqmail", "Postfix"] * 2
    assert "failed" not in ran.stdout
    assert "[4/4] round 1 W2" in ran.stderr

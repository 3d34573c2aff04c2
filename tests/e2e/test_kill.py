"""Crashes under load, a short run of each kind: `scripts/crash` has the long ones."""

import os
import subprocess
import sys

import pytest

from tests.support.programs import ROOT, postfix_program, program

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]  # a minute, unless the machine is busy


def _crash(*words: str) -> str:
    """Run `scripts/crash WORDS` in this environment; it must say that all is well."""
    postfix_program("smtp-source")
    ran = subprocess.run(
        [sys.executable, "-m", "tests.crash", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    if ran.returncode == 2:
        pytest.skip(ran.stderr.strip())
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_no_accepted_message_is_lost_by_kill_9() -> None:
    said = _crash("kill", "--kills", "12")

    assert "lost" in said
    assert "12" in said.split("kill -9", 1)[1].splitlines()[0]


@pytest.mark.root
def test_no_accepted_message_is_lost_when_the_disk_is_cut_off() -> None:
    _needs_root()

    _crash("power", "--cuts", "3")


@pytest.mark.root
def test_the_power_cut_would_notice_a_server_that_does_not_sync() -> None:
    _needs_root()
    program("eatmydata")

    said = _crash("power", "--cuts", "3", "--without-sync")

    assert "without fsync" in said


def _needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")

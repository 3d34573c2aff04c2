"""Names in a namespace of our own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import ROOT

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a mount namespace"),
]

_ASKS = """
import subprocess, sys, tempfile
from pathlib import Path
from tests.bench import names

try:
    names.enter_namespace()
except PermissionError:
    sys.exit(77)
names.ZONES.update({"there.test": {"A": "127.0.0.7"}})
with tempfile.TemporaryDirectory() as directory, names.answering(Path(directory)):
    for name in ("there.test", "nowhere.test", "localhost"):
        asked = subprocess.run(["getent", "ahostsv4", name], capture_output=True, text=True)
        print(name, asked.returncode, *asked.stdout.split()[:1])
"""


def test_every_name_is_answered_at_once_and_nothing_is_seen_outside() -> None:
    before = Path("/etc/resolv.conf").read_text()

    asked = subprocess.run(
        [sys.executable, "-c", _ASKS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    if asked.returncode == 77:
        pytest.skip("root may not make a mount namespace here (an unprivileged container)")
    assert asked.stdout.splitlines() == [
        "there.test 0 127.0.0.7",
        "nowhere.test 2",
        "localhost 0 127.0.0.1",
    ], asked.stderr
    assert Path("/etc/resolv.conf").read_text() == before

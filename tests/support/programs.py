"""The real programs that tests talk to: found, or the test is skipped with the reason (in CI a skip fails)."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
POSTFIX = ROOT / ".peers" / "postfix"  # scripts/peers unpacks it there
POSTFIX_LIBRARIES = ":".join(
    str(path)
    for path in (POSTFIX / "usr/lib/postfix", *sorted(POSTFIX.glob("usr/lib/*-linux-gnu")))
)
DOVECOT = ROOT / ".peers" / "dovecot"
DOVECOT_LIBRARIES = ":".join(
    str(path)
    for path in (
        DOVECOT / "usr/lib/dovecot",
        DOVECOT / "usr/lib/dovecot/modules/old-stats",
        *sorted(DOVECOT.glob("usr/lib/*-linux-gnu")),
    )
)


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended and what it said."""

    status: int
    output: str


def program(name: str) -> str:
    """Give the path of a program of the system; skip the test where it is not installed."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed; scripts/peers installs it (as root)")
    return path


def postfix_program(name: str) -> str:
    """Give the path of a program of the unpacked Postfix, `smtp-source` for one; skip where it is not."""
    for directory in ("usr/sbin", "usr/lib/postfix/sbin"):
        path = POSTFIX / directory / name
        if path.exists():
            return str(path)
    pytest.skip(f"{name}: Postfix is not unpacked below .peers; scripts/peers does it (as root)")


def dovecot_program(name: str) -> str:
    """Give the path of a program of the unpacked Dovecot, `doveconf` for one; skip where it is not."""
    for directory in ("usr/sbin", "usr/bin"):
        path = DOVECOT / directory / name
        if path.exists():
            return str(path)
    pytest.skip(f"{name}: Dovecot is not unpacked below .peers; scripts/peers does it (as root)")


def environment() -> dict[str, str]:
    """What programs are run with: no locale, no settings of the person who tests, Postfix's libraries."""
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin",
        "LANG": "C.UTF-8",
        "HOME": "/nonexistent",
        "LD_LIBRARY_PATH": POSTFIX_LIBRARIES,
    }


def run(command: Sequence[str], *, given: bytes = b"", timeout: float = 60) -> Ran:
    """Run a program to its end, with `given` on its standard input; output and errors come as one text."""
    ended = subprocess.run(
        command,
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(),
        timeout=timeout,
        check=False,
    )
    return Ran(ended.returncode, ended.stdout.decode("utf-8", "replace"))

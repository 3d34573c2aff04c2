"""What a figure was measured on: the commit, the day and the machine, in words."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from tests.support.programs import ROOT


def commit() -> str:
    """The commit of the checkout, with `-dirty` when files differ from it; "unknown" outside a checkout. Pages are not
    looked at: what is measured is written into them."""
    named = _git("rev-parse", "--short=12", "HEAD").stdout.strip()
    changed = _git("diff", "--quiet", "HEAD", "--", ".", ":(exclude)docs").returncode
    return f"{named}{'-dirty' if changed else ''}" if named else "unknown"


def _git(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def day() -> str:
    """Today's date (UTC), as in 2026-11-22."""
    return datetime.now(UTC).date().isoformat()


def machine() -> str:
    """Processor, memory, system and Python, in one line."""
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return (
        f"{os.cpu_count()} CPUs ({_processor()}), {gigabytes:.0f} GB memory, {_system()}, "
        f"Linux {platform.release()}, Python {platform.python_version()}"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()

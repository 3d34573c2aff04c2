"""CPU time of a server with all its processes, those that have ended included (Linux)."""

import os
from contextlib import suppress
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def session_seconds(leader: int) -> float:
    """User and system time of the processes in the session `leader` leads, and of the children they waited for."""
    ticks = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if (
                int(fields[3]) == leader
            ):  # session; the fields after it are numbered as in proc(5), less 3
                ticks += sum(map(int, fields[11:15]))  # utime stime cutime cstime
    return ticks / _TICK

"""When to try again: pure functions of birth and now, so nothing but the birth needs storing.

qmail's quadratic schedule is the default: attempts come at birth + n², n growing by 20 (remote) or 10 (local) from
one to the next, so 400 s, 1600 s, 3600 s … after birth for a remote recipient: quick at first, patient later. A
server that was down for a day does not retry every message of that day at once, and no attempt count is needed.
"""

from collections.abc import Sequence
from math import isqrt

LOCAL_SKIP = 10
REMOTE_SKIP = 20
_DAY = 86400.0


def quadratic(born: float, now: float, skip: int) -> float:
    """Give the next attempt as qmail-send's nextretry does: the next n² after `born`, `skip` steps on."""
    age = isqrt(int(now - born)) if now >= born else 0
    n = age + skip
    return born + n * n


def next_retry(
    born: float,
    now: float,
    *,
    local: bool = False,
    steps: Sequence[float] = (),
    attempts: int = 0,
    deadline: float | None = None,
) -> float:
    """Give when (wall-clock seconds) to try again after an attempt that ended at `now`.

    `steps` are waits between attempts, the last one repeated, instead of the quadratic schedule; `attempts` how many
    came before this one. Never after `deadline` (then comes the last attempt), and always after `now`.
    """
    if steps:
        due = now + steps[min(attempts, len(steps) - 1)]
    else:
        due = quadratic(born, now, LOCAL_SKIP if local else REMOTE_SKIP)
        if born > now:
            # the clock was wrong then or is wrong now: do not park the message for years
            due = min(due, now + _DAY)
    if deadline is not None and now < deadline < due:
        due = deadline
    return max(due, now + 1.0)

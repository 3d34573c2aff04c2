"""Mail for a destination that is away, given to a server in ten portions, within a time."""

import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tests.bench.peer import Failed

PORTIONS = 10
Inject = Callable[[int, float], "Portion"]  # messages, seconds it may take


@dataclass(frozen=True, slots=True)
class Portion:
    """One tenth of the messages, or what was taken of it."""

    messages: int
    seconds: float
    complaint: str = ""  # why it is not whole

    @property
    def rate(self) -> float:
        return self.messages / self.seconds


def counted(command: Sequence[str], environ: dict[str, str], seconds: float) -> Portion:
    """Run `smtp-source -c …`, whose output is a running number, and end it when its time is over.

    The number may be too high by the messages that are just under way."""
    began = time.monotonic()
    client = subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    complaint = ""
    try:
        numbers, said = client.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        client.kill()
        numbers, said = client.communicate()
        complaint = f"the time was over ({seconds:.0f} s for this tenth)"
    finally:
        client.kill()
        client.wait()
    took = time.monotonic() - began
    if client.returncode and not complaint:
        complaint = said.strip().rpartition("fatal: ")[2] or f"status {client.returncode}"
    return Portion(last_number(numbers), took, complaint)


def last_number(output: str) -> int:
    """The last of the numbers that smtp-source has written over one another; 0 when there is none."""
    for word in reversed(output.split()):
        with suppress(ValueError):
            return int(word)
    return 0


def fill(messages: int, seconds: float, inject: Inject) -> list[Portion]:
    """Inject so many messages in ten portions; fewer when the time is over or the server takes no more.
    Raises Failed when it took none at all."""
    end = time.monotonic() + seconds
    portions: list[Portion] = []
    for number in range(PORTIONS):
        share = messages * (number + 1) // PORTIONS - messages * number // PORTIONS
        left = end - time.monotonic()
        if portions and left <= 0:
            break
        portion = inject(share, left)
        if portion.messages:
            portions.append(portion)
        if portion.complaint:
            if not portions:
                raise Failed(f"not one message for a destination that is away: {portion.complaint}")
            break
    return portions

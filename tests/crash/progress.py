"""One line that says how far it is: rewritten in place on a terminal, printed now and then elsewhere."""

import sys
import time
from dataclasses import dataclass, field

EVERY = 30.0  # seconds between two lines where there is no terminal


@dataclass(slots=True)
class Progress:
    """`show` replaces the line; `close` leaves it standing."""

    every: float = EVERY
    _shown: float = 0.0
    _width: int = 0
    _line: str = ""
    _terminal: bool = field(default_factory=sys.stdout.isatty)

    def show(self, line: str) -> None:
        self._line = line
        if self._terminal:
            print("\r" + line.ljust(self._width), end="", flush=True)
            self._width = len(line)
        elif time.monotonic() - self._shown >= self.every:
            self._shown = time.monotonic()
            print(line, flush=True)

    def close(self) -> None:
        """End the line, so that what follows stands below it."""
        if self._terminal and self._line:
            print()


def clock(seconds: float) -> str:
    """Minutes and seconds, as in 4:07; hours when there are some."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

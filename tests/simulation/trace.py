"""The trace of a run: what happened, when, to whom. Two runs of one seed have the same trace, octet for octet."""

import hashlib
from collections.abc import Callable, Iterator


class Trace:
    """Keeps events as they come and formats them only when somebody reads them. `clock` gives virtual seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._events: list[tuple[float, str, str, tuple[object, ...]]] = []

    def __len__(self) -> int:
        return len(self._events)

    def note(self, actor: str, event: str, *details: object) -> None:
        """Note an event; `details` fill the %-places of `event` and must not change afterwards."""
        self._events.append((self._clock(), actor, event, details))

    def lines(self) -> Iterator[str]:
        """Give the events as text, in order."""
        for at, actor, event, details in self._events:
            yield f"{at:14.6f} {actor:<16} {event % details if details else event}"

    @property
    def digest(self) -> str:
        """What two equal traces have in common, and no others."""
        whole = hashlib.sha256()
        for line in self.lines():
            whole.update(line.encode("utf-8", "backslashreplace") + b"\n")
        return whole.hexdigest()

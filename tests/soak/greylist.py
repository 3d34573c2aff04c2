"""A destination that greylists: a sender it has not seen is told to come again, and then taken."""

_REMEMBERED = 10_000  # senders


class Greylist:
    """Remembers senders; `delayed` counts those it did not know."""

    def __init__(self) -> None:
        self.delayed = 0
        self._seen: dict[str, None] = {}

    def puts_off(self, sender: str) -> bool:
        """Say whether a sender is told to come again."""
        if sender in self._seen:
            return False
        self.delayed += 1
        self._seen[sender] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True

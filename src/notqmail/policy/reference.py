"""References: the short names that refusals carry, `[ref K7Q2M4XW]`, and `notqmail why` understands."""

from collections.abc import Callable
from typing import Final

_SIGNS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ23456789"  # without 0 and 1, which are misread
_LENGTH: Final = 8
_SPACE: Final = len(_SIGNS) ** _LENGTH
_PER_SECOND: Final = 2000
_SPREAD: Final = (
    1_095_912_791_951  # odd and no multiple of 17: multiplying is a bijection modulo 34^8
)


class References:
    """Makes references that do not repeat for 28 years, without remembering any.

    A reference is a count of half milliseconds since 1970 (`now` gives wall-clock seconds), spread over all of
    the 34^8 names by a bijection, so that neighbours do not look alike. The count never stands still: at more than
    2,000 in a second it runs ahead of the clock.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._last = 0

    def __call__(self) -> str:
        self._last = max(self._last + 1, int(self._now() * _PER_SECOND))
        rest = self._last * _SPREAD % _SPACE
        signs = []
        for _ in range(_LENGTH):
            rest, sign = divmod(rest, len(_SIGNS))
            signs.append(_SIGNS[sign])
        return "".join(signs)

"""The decision record behind `why`: what a record holds, by what it is found, and how it reads in plain words.

A record is a dict of what JSON has. It never holds content or secrets.
"""

from collections.abc import Callable
from typing import Final

from notqmail.mail.reply import Reply

# References: 8 characters without the easily confused 0 and 1.
_SIGNS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ23456789"
_LENGTH: Final = 8
_SPACE: Final = len(_SIGNS) ** _LENGTH
_PER_SECOND: Final = 2000
_SPREAD: Final = 1_095_912_791_951  # odd and no multiple of 17, hence a bijection modulo 34^8


class References:
    """Makes references that do not repeat for 28 years, without remembering any.

    A reference is a count of half milliseconds since 1970, spread over all of the 34^8 names by a bijection, so
    that no two look alike. The count never stands still: two in the same half millisecond get neighbours.
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


def with_reference(reply: Reply, ref: str) -> Reply:
    """Put `[ref …]` at the end of a reply's text."""
    return Reply(reply.code, reply.enhanced, f"{reply.text} [ref {ref}]")

"""A shape: a part of a message's way through the server, that can be worked any number of times."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

Work = Callable[[int], Awaitable[None]]
"""Takes so many messages through; all that they cause is done when it returns."""


@dataclass(frozen=True, slots=True)
class Shape:
    """`open` sets it up in an empty directory. What is counted is the difference between `messages` and three times
    as many, so that what happens once (and the end of a run) does not count."""

    name: str
    about: str
    messages: int
    open: Callable[[Path], AbstractAsyncContextManager[Work]]

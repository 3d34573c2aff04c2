"""A bounded way to work off the event loop: so many at once, so many waiting, and who comes then is told at once."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from notqmail.mail.errors import AuthUnavailableError
from notqmail.ports import Offload

T = TypeVar("T")


class Gate:
    """Lets `at_once` jobs of a login into a pool while at most `waiting` more wait their turn."""

    def __init__(self, offload: Offload, at_once: int, waiting: int) -> None:
        self._offload, self._room = offload, at_once + waiting
        self._turn = asyncio.Semaphore(at_once)
        self.inside = 0  # at work and waiting

    async def run(self, function: Callable[..., T], /, *args: Any) -> T:
        """Call `function(*args)` in the pool; raises AuthUnavailableError when too many wait already."""
        if self.inside >= self._room:
            raise AuthUnavailableError("too many logins wait for their passwords to be checked")
        self.inside += 1
        try:
            async with self._turn:
                return await self._offload.run(function, *args)
        finally:
            self.inside -= 1

"""Signals as events: SIGTERM and SIGINT stop the server gracefully, SIGHUP reloads the configuration."""

import asyncio
import signal
from collections.abc import Callable
from types import TracebackType

STOP = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """Holds the handlers while it is entered. Needs the main thread's event loop.

    `stop` is set by the first SIGTERM or SIGINT; a second one calls `hurry`, for who will not wait for the grace.
    """

    def __init__(self, reload: Callable[[], None], hurry: Callable[[], None]) -> None:
        self.stop = asyncio.Event()
        self._reload, self._hurry = reload, hurry

    def __enter__(self) -> "Signals":
        loop = asyncio.get_running_loop()
        for number in STOP:
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        for number in (*STOP, signal.SIGHUP):
            loop.remove_signal_handler(number)

    def _stop(self) -> None:
        if self.stop.is_set():
            self._hurry()
        self.stop.set()

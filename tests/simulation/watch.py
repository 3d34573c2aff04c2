"""What the server itself says is wrong: its log at level error, and what reached the event loop's exception handler."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from tests.simulation.disk import DeadError
from tests.simulation.loop import LIFE
from tests.simulation.trace import Trace

# what the server may say about a disk that is full or gone; everything else at level error is a bug
_DISK = (
    "attempt not recorded yet",
    "queue cannot be read",
    "queue cannot be written",
)


class _Listener(logging.Handler):
    def __init__(self, trace: Trace, complaints: list[str]) -> None:
        super().__init__()
        self._trace, self._complaints = trace, complaints

    def emit(self, record: logging.LogRecord) -> None:
        life = LIFE.get(None)
        if life is not None and not life.alive:
            return  # the dead may say what they like
        fields = getattr(record, "fields", {})
        shown = [record.getMessage(), *(f"{name}={value}" for name, value in fields.items())]
        self._trace.note("log", "%s", " ".join(shown))
        if record.levelno >= logging.ERROR and not record.getMessage().startswith(_DISK):
            whole = logging.Formatter().format(record)
            self._complaints.append(f"logged as an error: {whole}")


@contextlib.contextmanager
def watching(
    loop: asyncio.AbstractEventLoop, trace: Trace, complaints: list[str], *, verbose: bool
) -> Iterator[None]:
    """Collect complaints; `verbose` puts every log line into the trace, else warnings and errors."""

    def on_exception(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if str(DeadError()) in str(error):
            return  # nobody was left to hear it
        complaints.append(f"reached the event loop: {context['message']}: {error!r}")

    log = logging.getLogger("notqmail")
    listener, level, propagate = _Listener(trace, complaints), log.level, log.propagate
    log.addHandler(listener)
    log.setLevel(logging.INFO if verbose else logging.WARNING)
    log.propagate = False
    loop.set_exception_handler(on_exception)
    try:
        yield
    finally:
        log.removeHandler(listener)
        log.setLevel(level)
        log.propagate = propagate

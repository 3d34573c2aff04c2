"""Log lines: one per event, `key=value` (or JSON), written by a thread so that a stuck stderr stalls nobody.

    2026-11-22T18:40:49.123Z info smtpd accepted s=4XQ7… m=1K8F… from=bob@example.net size=4096

`event` is for what happens per message: it costs the caller a record and a put into a queue, and the thread the
formatting. Everything else logs through the standard library as usual and comes out in the same form. The ids `s=`
(session), `m=` (message) and `d=` (delivery) join the lines. What a peer chose cannot break a line or forge a field;
an exception's lines are indented, so they cannot pass for events.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from queue import Empty, SimpleQueue
from types import MappingProxyType
from typing import Final, Protocol

import msgspec

Field = object
"""A str, number, bool, None, bytes, or anything whose str() may be shown; a list or tuple of them."""

LINGER: Final = 0.05  # seconds that a line may wait for company
STOP: Final = 2.0  # seconds that the end waits for a stuck reader
MAX_VALUE: Final = 1024  # characters

_SECRETS: Final = frozenset({"password", "secret", "token", "credentials", "authorization"})
_NO_FIELDS: Final[Mapping[str, Field]] = MappingProxyType({})
_QUOTE_FREE: Final = str.maketrans("", "", ' "=\\')


class Stream(Protocol):
    """Where lines go."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


_BLANK: Final = dict(logging.LogRecord("", 0, "", 0, "", None, None).__dict__)


class _Event(logging.LogRecord):
    """A record whose message is the event's name, and whose fields are not formatted yet. What no line shows (file,
    thread, process) is not found out for each, as the base class would."""

    def __init__(
        self, logger: str, level: int, name: str, fields: Mapping[str, Field] = _NO_FIELDS
    ) -> None:
        self.__dict__ = {
            **_BLANK,
            "name": logger,
            "levelno": level,
            "levelname": logging.getLevelName(level),
            "msg": name,
            "created": time.time(),
            "fields": fields,
        }


def event(
    logger: logging.Logger, name: str, /, *, level: int = logging.INFO, **fields: Field
) -> None:
    """Log an event with its fields, in the order given."""
    if logger.isEnabledFor(level):
        logger.handle(_Event(logger.name, level, name, fields))


class Output(logging.Handler):
    """Takes records on any thread and writes them on its own. `dropped` counts the lines that found no room."""

    def __init__(
        self, layout: Callable[[logging.LogRecord], str], stream: Stream, backlog: int
    ) -> None:
        super().__init__()
        self._layout, self._stream, self._backlog = layout, stream, backlog
        self._queue: SimpleQueue[logging.LogRecord | None] = SimpleQueue()
        self._hurry = threading.Event()
        self.dropped = 0
        self._told = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def handle(self, record: logging.LogRecord) -> bool:
        """Take a record; never waits. (The base class would take a lock, which a queue needs none of.)"""
        if self._queue.qsize() >= self._backlog:
            self.dropped += 1
            return False
        if record.exc_info:  # now: later it would keep its frames alive, and show them changed
            record.exc_text = _TRACEBACK.formatException(record.exc_info)
            record.exc_info = None
        self._queue.put(record)
        if record.levelno >= logging.ERROR:
            self._hurry.set()
        return True

    def stop(self) -> None:
        """Write what waits, for at most STOP seconds, and take no more."""
        logging.getLogger().removeHandler(self)
        self._queue.put(None)
        self._hurry.set()
        self._thread.join(STOP)

    # From here on: the thread.

    def _run(self) -> None:
        while (record := self._queue.get()) is not None:
            self._hurry.wait(LINGER)
            self._hurry.clear()
            lines, ended = self._gather(record)
            self._put(lines)
            if ended:
                return

    def _gather(self, record: logging.LogRecord | None) -> tuple[list[str], bool]:
        lines = []
        while record is not None:
            lines.append(self._line(record))
            try:
                record = self._queue.get_nowait()
            except Empty:
                return lines, False
        return lines, True

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return self._layout(record)
        except Exception as error:  # a wrong format string must not end the log
            fields = {"logger": record.name, "error": repr(error)}
            return self._layout(
                _Event("notqmail.log", logging.ERROR, "line cannot be formatted", fields)
            )

    def _put(self, lines: list[str]) -> None:
        dropped = self.dropped
        if dropped != self._told:
            fields = {"count": dropped - self._told}
            lost = _Event("notqmail.log", logging.WARNING, "lines dropped", fields)
            lines.append(self._layout(lost))
            self._told = dropped
        try:
            self._stream.write("".join(lines))
            self._stream.flush()
        except (OSError, ValueError):  # the reader is gone: there is nobody to tell
            self.dropped += len(lines)


def setup(
    level: str = "info", json: bool = False, backlog: int = 10_000, stream: Stream | None = None
) -> Output:
    """Send all logging to `stream` (stderr). Ours from `level` on, libraries' from warnings on. Call `stop` on the
    result at the end; calling `setup` anew replaces it."""
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, Output):
            handler.stop()
    output = Output(as_json if json else as_text, stream or sys.stderr, backlog)
    root.addHandler(output)
    root.setLevel(logging.WARNING)
    logging.getLogger("notqmail").setLevel(level.upper())
    # What no line shows need not be found out for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    return output


# Layouts

_TRACEBACK: Final = logging.Formatter()


@lru_cache(maxsize=1)  # most lines share their second
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _when(at: float) -> str:
    """Write a time, RFC 3339 in UTC with milliseconds."""
    return f"{_second(int(at))}.{int(at * 1000) % 1000:03d}Z"


def as_text(record: logging.LogRecord) -> str:
    """Lay a record out as one line of `key=value`."""
    area = record.name.removeprefix("notqmail.")
    parts = [_when(record.created), record.levelname.lower(), area, _clean(record.getMessage())]
    fields: Mapping[str, Field] = getattr(record, "fields", _NO_FIELDS)
    parts += [f"{name}={_quoted(shown)}" for name, shown in _shown(fields)]
    line = " ".join(parts) + "\n"
    if record.exc_text:
        line += "".join(f"    {_clean(each)}\n" for each in record.exc_text.split("\n"))
    return line


def as_json(record: logging.LogRecord) -> str:
    """Lay a record out as one JSON object."""
    line: dict[str, str | int | float] = {
        "at": _when(record.created),
        "level": record.levelname.lower(),
        "area": record.name.removeprefix("notqmail."),
        "event": record.getMessage(),
        **dict(_shown(getattr(record, "fields", _NO_FIELDS))),
    }
    if record.exc_text:
        line["exception"] = record.exc_text
    try:
        return msgspec.json.encode(line).decode() + "\n"
    except UnicodeEncodeError:  # a lone surrogate
        cleaned = {k: _clean(v) if isinstance(v, str) else v for k, v in line.items()}
        return msgspec.json.encode(cleaned).decode() + "\n"


def _shown(fields: Mapping[str, Field]) -> Iterable[tuple[str, str | int | float]]:
    for name, value in fields.items():
        if name in _SECRETS:
            yield name, "***"
        else:
            yield name, _value(value)


def _value(value: Field) -> str | int | float:
    if isinstance(value, str):
        return value[:MAX_VALUE]
    if value is None:
        return "-"
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, bytes):
        return value[:MAX_VALUE].decode("utf-8", "backslashreplace")
    if isinstance(value, list | tuple):
        return ",".join(str(_value(item)) for item in value[:100])[:MAX_VALUE]
    return str(value)[:MAX_VALUE]


def _quoted(value: str | float) -> str:
    """A value as it is where that is unmistakable, else in quotes with escapes."""
    if not isinstance(value, str):
        return str(value)
    if value and value.isprintable() and value.translate(_QUOTE_FREE) == value:
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_clean(escaped)}"'


def _clean(text: str) -> str:
    """Escape what is not printable: line ends, controls, what changes the direction of text."""
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )

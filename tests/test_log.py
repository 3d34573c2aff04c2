"""Log lines: one per event, unmistakable, and never a reason to wait."""

import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notqmail import log
from notqmail.log import Output, as_json, as_text, event, setup

LOGGER = logging.getLogger("notqmail.smtpd")


class Kept(logging.Handler):
    """Keeps records as they come."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture(autouse=True)
def logging_is_put_back() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("notqmail")
    levels, handlers = (root.level, ours.level), root.handlers[:]
    flags = (logging.logThreads, logging.logProcesses, logging.logMultiprocessing)
    yield
    for handler in root.handlers[:]:
        if isinstance(handler, Output):
            handler.stop()
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    logging.logThreads, logging.logProcesses, logging.logMultiprocessing = flags


def record(*args: object, **fields: object) -> logging.LogRecord:
    kept = Kept()
    LOGGER.addHandler(kept)
    LOGGER.setLevel(logging.DEBUG)
    try:
        if fields:
            event(LOGGER, str(args[0]), **fields)  # type: ignore[arg-type]
        else:
            LOGGER.info(*args)  # type: ignore[arg-type]
    finally:
        LOGGER.removeHandler(kept)
        LOGGER.setLevel(logging.NOTSET)
    (only,) = kept.records
    only.created = 1_800_000_000.1234
    return only


def text(*args: object, **fields: object) -> str:
    return as_text(record(*args, **fields))


def written(**options: object) -> tuple[Output, io.StringIO]:
    stream = io.StringIO()
    return setup(stream=stream, **options), stream  # type: ignore[arg-type]


# Layout


def test_an_event_is_one_line_of_keys_and_values() -> None:
    assert text("accepted", s="S1", m="M1", size=4096) == (
        "2027-01-15T08:00:00.123Z info smtpd accepted s=S1 m=M1 size=4096\n"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain@example.org", "plain@example.org"),
        ("", '""'),
        ("two words", '"two words"'),
        ('say "hi"', r'"say \"hi\""'),
        ("a=b", '"a=b"'),
        ("back\\slash", r'"back\\slash"'),
        ("line\r\nbreak", r'"line\r\nbreak"'),
        ("\x1b[31m", r'"\x1b[31m"'),
        ("\u202eright to left", r'"\u202eright to left"'),
        ("zoë", "zoë"),
        ("\udcff", r'"\udcff"'),
        (None, "-"),
        (True, "True"),
        (1.23456789, "1.234568"),
        (b"octets\xff", r'"octets\\xff"'),
        (["a", 1], "a,1"),
        (ValueError("x"), "x"),
    ],
)
def test_a_value_is_shown_so_that_it_can_be_read_back(value: object, shown: str) -> None:
    assert text("event", value=value).endswith(f" event value={shown}\n")


@given(st.text(), st.text())
def test_no_text_can_break_a_line_or_forge_a_field(value: str, message: str) -> None:
    line = text("event %s", message)
    assert line.count("\n") == 1

    line = text("event", peer=value)
    assert line.count("\n") == 1
    assert line.removesuffix("\n").isprintable()
    if not set(value) & set('"\\'):
        _, _, shown = line.partition(" peer=")
        assert " " not in shown or shown.startswith('"')


def test_a_value_is_cut() -> None:
    assert len(text("event", peer="x" * 100_000)) < log.MAX_VALUE + 100


@pytest.mark.parametrize("layout", [as_text, as_json])
def test_a_secret_is_not_shown(layout: object) -> None:
    line = layout(record("login", password="hunter2", token="t0ps3cret"))  # type: ignore[operator]

    assert "hunter2" not in line
    assert "t0ps3cret" not in line


def test_json_has_one_object_per_line() -> None:
    line = as_json(record("accepted", s="S1", size=4096, peer="a\nb"))

    assert line.count("\n") == 1
    assert json.loads(line) == {
        "at": "2027-01-15T08:00:00.123Z",
        "level": "info",
        "area": "smtpd",
        "event": "accepted",
        "s": "S1",
        "size": 4096,
        "peer": "a\nb",
    }


def test_json_survives_what_utf_8_cannot_hold() -> None:
    assert json.loads(as_json(record("event", peer="\udcff")))["peer"] == "\\udcff"


# Output


def test_what_was_logged_is_written_by_the_end() -> None:
    output, stream = written()

    event(LOGGER, "accepted", s="S1")
    LOGGER.warning("disk is %s", "slow")
    output.stop()

    assert [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()] == [
        "info smtpd accepted s=S1",
        "warning smtpd disk is slow",
    ]


def test_a_log_without_events_ends_at_once() -> None:
    output, stream = written()

    output.stop()

    assert stream.getvalue() == ""


def test_nothing_below_the_level_is_logged() -> None:
    output, stream = written(level="warning")

    event(LOGGER, "accepted")
    event(LOGGER, "degraded", level=logging.WARNING)
    output.stop()

    assert stream.getvalue().count("\n") == 1


def test_libraries_are_heard_from_warnings_on() -> None:
    output, stream = written(level="debug")

    logging.getLogger("aiodns").debug("chatter")
    logging.getLogger("aiodns").warning("trouble")
    output.stop()

    assert stream.getvalue().endswith("warning aiodns trouble\n")
    assert stream.getvalue().count("\n") == 1


def test_a_traceback_cannot_pass_for_events() -> None:
    output, stream = written()

    try:
        int("forged\n2027-01-15T08:00:00.123Z info smtpd accepted")
    except ValueError:
        LOGGER.exception("stage failed")
    output.stop()

    first, *more = stream.getvalue().splitlines()
    assert first.endswith("error smtpd stage failed")
    assert more
    assert all(line.startswith("    ") for line in more)


def test_json_carries_the_traceback() -> None:
    output, stream = written(json=True)

    try:
        int("x")
    except ValueError:
        LOGGER.exception("stage failed")
    output.stop()

    assert "ValueError: invalid literal" in json.loads(stream.getvalue())["exception"]


def test_a_line_that_cannot_be_formatted_is_told_and_the_next_is_written() -> None:
    output, stream = written()

    wrong = logging.LogRecord(LOGGER.name, logging.WARNING, "", 0, "%d", ("no number",), None)
    output.handle(wrong)
    LOGGER.warning("next")
    output.stop()

    assert "error log line cannot be formatted logger=notqmail.smtpd" in stream.getvalue()
    assert stream.getvalue().endswith("warning smtpd next\n")


class Stuck(io.StringIO):
    """A stream whose reader does not read until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.let = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.begun.set()
        assert self.let.wait(10)
        return super().write(text)


def test_a_stuck_reader_costs_lines_but_never_time() -> None:
    stream = Stuck()
    output = setup(stream=stream, backlog=100)

    LOGGER.error("first")
    assert stream.begun.wait(10)
    for _ in range(150):
        LOGGER.warning("flood")
    assert output.dropped == 50

    stream.let.set()
    output.stop()
    assert stream.getvalue().count("flood") == 100
    assert "warning log lines dropped count=50\n" in stream.getvalue()


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_reader_that_is_gone_is_counted_not_raised() -> None:
    output = setup(stream=Gone())

    LOGGER.warning("anybody there?")
    output.stop()

    assert output.dropped == 1


def test_set_up_anew_replaces_what_was() -> None:
    _, first = written()
    LOGGER.warning("one")
    output, second = written()
    LOGGER.warning("two")
    output.stop()

    assert (first.getvalue().count("\n"), second.getvalue().count("\n")) == (1, 1)


def test_the_usual_output_is_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    output = setup()
    LOGGER.warning("here")
    output.stop()

    assert capsys.readouterr().err.endswith("warning smtpd here\n")


async def test_logging_does_not_block_the_loop() -> None:
    output, _ = written()

    for _ in range(100):
        event(LOGGER, "accepted", s="S1")
    LOGGER.error("at once")

    assert output.dropped == 0

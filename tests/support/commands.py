"""Running commands inside the test's process: status, standard output and standard error of each."""

import contextlib
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from notqmail import cli
from notqmail.cli import sendmail

Program = Callable[[Sequence[str]], int]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str


def notqmail(*arguments: object, given: bytes = b"") -> Ended:
    """Run a notqmail command line; standard input is `given`, no terminal."""
    return _run(cli.run, arguments, given)


def run_sendmail(*arguments: object, given: bytes = b"") -> Ended:
    """Run a sendmail command line."""
    return _run(sendmail.run, arguments, given)


def init(directory: Path, *arguments: object) -> Path:
    """Make a development installation with alice@example.org; give its configuration file."""
    ended = notqmail(
        *("init", directory, "--hostname", "mx.example.org", "--domain", "example.org"),
        *("--user", "alice@example.org", "--dev", *arguments),
    )
    assert ended.status == 0, ended.err
    return directory / "notqmail.toml"


def _run(program: Program, arguments: Sequence[object], given: bytes) -> Ended:
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _stdin(given):
        status = program([str(argument) for argument in arguments])
    return Ended(int(status), _said(out), _said(err))


def _said(stream: io.TextIOWrapper) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode("utf-8", "surrogateescape")


@contextlib.contextmanager
def _stdin(given: bytes) -> Iterator[None]:
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(given), "utf-8")
    try:
        yield
    finally:
        sys.stdin = before

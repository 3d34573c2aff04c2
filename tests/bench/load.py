"""The load: Postfix's own smtp-source and smtp-sink, so that nobody measures himself with a client of his own."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bench.peer import Endpoint, Failed, Figures, Narrow, Running
from tests.support.programs import environment, postfix_program
from tests.support.waiting import free_port

OCTETS = 4096  # of a message, less its header
SINK = "127.0.0.2"  # not the host of our server: one that is asked to relay to itself may call that a loop
RUN = 10.0  # seconds that are enough for a rate
_LEAST = 0.005  # seconds between two looks, at least
_MOST = 0.25


@dataclass(frozen=True, slots=True)
class Burst:
    """How messages are sent."""

    sessions: int = 20  # connections at once
    kept: bool = False  # many messages over each connection, or one
    octets: int = OCTETS
    patience: float = 180  # seconds for all of it
    sender: str = "a@sender.example"
    hello: str = ""  # the client's name; "": that of the machine
    file: Path | None = None  # what is sent, header and body; None: a message of `octets`

    def send(self, server: Running, to: str, count: int, at: Endpoint | None = None) -> None:
        """Send so many messages, to `server.address` unless it is said where else, and return when the last one was
        answered. Raises Failed."""
        sessions = min(self.sessions, count)
        if isinstance(server, Narrow):
            sessions = min(sessions, server.most_sessions)
        command = [postfix_program("smtp-source"), "-s", str(sessions), "-m", str(count)]
        command += ["-f", self.sender, "-t", to, *(["-d"] if self.kept else [])]
        command += ["-F", str(self.file)] if self.file else ["-l", str(self.octets)]
        command += ["-M", self.hello] if self.hello else []
        try:
            subprocess.run(
                [*command, str(at or server.address)],
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=self.patience,
                check=True,
            )
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode("utf-8", "replace").strip().splitlines()
            last = said[-1].rpartition("fatal: ")[2] if said else f"status {error.returncode}"
            raise Failed(f"smtp-source: {last}") from None
        except subprocess.TimeoutExpired:
            raise Failed(f"{count} messages were not taken within {self.patience:g} s") from None


def timed(server: Running, messages: int, work: Callable[[], None]) -> Figures:
    """Do the work of so many messages and say what it cost."""
    spent, began = server.usage.cpu(), time.monotonic()
    work()
    seconds = time.monotonic() - began
    cpu = server.usage.cpu() - spent
    return Figures(messages / seconds, cpu * 1000 / messages, server.usage.peak_memory())


def fitting(
    messages: int,
    warm: int,
    warm_up: Callable[[], None],
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Warm a server up with `warm` messages; give how many of the `messages` it will take within RUN seconds. All of
    them, if it is not a slow one."""
    began = clock()
    warm_up()
    return min(messages, max(warm, round(RUN * warm / (clock() - began))))


def files(inbox: Path) -> int:
    """How many messages there are."""
    with suppress(FileNotFoundError), os.scandir(inbox) as entries:
        return sum(1 for _ in entries)
    return 0


def wait_count(count: Callable[[], int], goal: int, what: str, patience: float = 180) -> None:
    """Wait until `count()` has reached the goal. Raises Failed when it does not come closer for `patience` seconds.

    To look costs time the server would have had, so the next look is when half of what is missing should be
    there; the end is seen within some milliseconds all the same."""
    before, seen_at = count(), time.monotonic()
    pause = _LEAST
    while before < goal:
        time.sleep(pause)
        now, at = count(), time.monotonic()
        if now > before:
            missing = max(goal - now, 0) * (at - seen_at) / (now - before)  # seconds
            pause = min(max(missing / 2, _LEAST), _MOST)
            before, seen_at = now, at
        elif at - seen_at > patience:
            raise Failed(f"{now} of {goal} {what}, and no more come")


@dataclass(frozen=True, slots=True)
class Sink:
    """An smtp-sink at work. It overwrites one line of counters again and again, in a file."""

    counters: Path

    def received(self) -> int:
        """How many messages it has taken so far."""
        with self.counters.open("rb") as file:
            file.seek(max(0, self.counters.stat().st_size - 200))
            lines = file.read().split(b"\r")
        whole = [line for line in lines[:-1] if line.startswith(b"sess=")]
        return int(whole[-1].rpartition(b"mesg=")[2]) if whole else 0


def sink_place() -> Endpoint:
    """Where a sink may be started."""
    return Endpoint(SINK, free_port(SINK))


@contextmanager
def sink(at: Endpoint) -> Iterator[Sink]:
    """Run an smtp-sink until the block ends."""
    program = [postfix_program("smtp-sink"), "-c", "-m", "1000", "-t", "300"]
    becoming = ["-u", "nobody"] if os.geteuid() == 0 else []
    with tempfile.NamedTemporaryFile(prefix="notqmail-sink-") as counters:
        running = subprocess.Popen(
            [*program, *becoming, str(at), "1000"],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=counters,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            yield Sink(Path(counters.name))
            if running.poll() is not None:
                assert running.stderr is not None
                raise Failed(f"smtp-sink ended: {running.stderr.read().decode('utf-8', 'replace')}")
        finally:
            running.kill()
            running.communicate()

"""The spawn helper: a small process that keeps the rights the server gives up, and does two things with them.

The server starts it while it is still root (see system/spawn_client.py), and then becomes an ordinary user. The helper
may be asked, over a socket that only the server holds, to

    1  run the checkpassword command of the configuration on a name and a password (the qmail interface)
    2  check the password of a system user against /etc/shadow (see system/shadow.py)

and nothing else. What it may do, the command included, is an argument of its start and cannot be changed later. A
server that was taken over by an attacker can guess passwords with it, and do no more.

It is read by who wants to trust it: this file, system/shadow.py and Python's standard library are all that runs here.

    request   kind: 1 octet   id: 4 octets   body: at most MAX_BODY octets, in the form of its kind
    reply     id: 4 octets    status: 2 octets, signed

One record is one packet of a SOCK_SEQPACKET socket: the kernel keeps the borders, so there is nothing to parse. The
status is how the process ended that did the work: its exit status, or minus the signal that killed it; or one of those
below. Each piece of work is a process of its own, with limits, in a process group of its own that is killed as a whole
when it takes too long, when it is done (whatever it left behind), and when the server's end of the socket closes.
"""

import ipaddress
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from notqmail.system import shadow

CHECKPASSWORD, SYSTEM = 1, 2  # kinds of requests
REQUEST = struct.Struct("!BI")
REPLY = struct.Struct("!Ih")
MAX_SECRETS = 512  # what a checkpassword program reads from descriptor 3, at most
MAX_BODY = 2048

# statuses that no process has
TIMED_OUT, TOO_MANY, NOT_ALLOWED = 1000, 1001, 1002

CANNOT_RUN = 127  # as a shell says it
TEMPORARY = 111  # as qmail's programs say it

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OPEN_FILES = 256
_MOST = 100  # processes of a kind at once: each takes a descriptor
# A terminal, systemd or an impatient admin may send these to the helper too. It ends when the server has ended, which
# may want a last answer of it before that.
_NOT_FOR_US = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


@dataclass(frozen=True, slots=True)
class Kind:
    """What is done for one kind of request: `work` runs in a process of its own and gives its exit status."""

    work: Callable[[bytes], int]
    timeout: float  # seconds; then the process is killed
    at_once: int


@dataclass(slots=True)
class Job:
    """A process at work. `pidfd` becomes readable when it has ended; until we look at how it ended, its number is
    nobody else's. `late` when it has been killed for that."""

    id: int
    kind: int
    pid: int
    pidfd: int
    deadline: float  # by time.monotonic
    late: bool = False


class Helper:
    """The loop. `sock` is its end of the socket, `kinds` all that it can do."""

    def __init__(self, sock: socket.socket, kinds: Mapping[int, Kind]) -> None:
        self._sock, self._kinds = sock, kinds
        self._jobs: dict[int, Job] = {}  # by pidfd
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def run(self) -> None:
        """Serve until the server's end closes; then kill what is at work."""
        try:
            while True:
                for fd, _ in self._poll.poll(self._patience()):
                    if fd in self._jobs:
                        self._end(self._jobs[fd])
                    elif not self._take():
                        return
                self._kill_late()
        finally:
            for job in self._jobs.values():
                _kill(job)

    def _patience(self) -> float | None:
        """Milliseconds until the next job is late; None when there is none."""
        deadlines = [job.deadline for job in self._jobs.values() if not job.late]
        return max(0.0, min(deadlines) - time.monotonic()) * 1000 if deadlines else None

    def _take(self) -> bool:
        """Read one request and start its process; False when there will be no more."""
        try:
            # an octet more than a request may have: what is longer is seen to be
            record = self._sock.recv(REQUEST.size + MAX_BODY + 1)
        except ConnectionError:
            return False
        if not record:
            return False
        if not REQUEST.size <= len(record) <= REQUEST.size + MAX_BODY:
            return False  # our server never says that: whoever does gets nothing more
        number, id = REQUEST.unpack_from(record)
        kind = self._kinds.get(number)
        if kind is None:
            self._reply(id, NOT_ALLOWED)
        elif sum(job.kind == number for job in self._jobs.values()) >= kind.at_once:
            self._reply(id, TOO_MANY)
        else:
            self._start(id, number, kind, record[REQUEST.size :])
        return True

    def _start(self, id: int, number: int, kind: Kind, body: bytes) -> None:
        try:
            pid = os.fork()
        except OSError:  # no processes left, or no memory
            self._reply(id, TEMPORARY)
            return
        if pid == 0:
            _be_child(kind, body)
        with suppress(OSError):  # the child does it too: whoever comes first
            os.setpgid(pid, pid)
        job = Job(id, number, pid, os.pidfd_open(pid), time.monotonic() + kind.timeout)
        self._jobs[job.pidfd] = job
        self._poll.register(job.pidfd, select.POLLIN)

    def _end(self, job: Job) -> None:
        """A job has ended: kill what it has left behind, and say how it ended."""
        _kill(job)
        _, status = os.waitpid(job.pid, 0)
        self._poll.unregister(job.pidfd)
        os.close(job.pidfd)
        del self._jobs[job.pidfd]
        self._reply(job.id, TIMED_OUT if job.late else os.waitstatus_to_exitcode(status))

    def _kill_late(self) -> None:
        """Kill what takes too long. It is answered when it has ended, and keeps its place until then: a set-user-id
        program need not obey a helper that is not root."""
        now = time.monotonic()
        for job in self._jobs.values():
            if job.deadline <= now and not job.late:
                _kill(job)
                job.late = True

    def _reply(self, id: int, status: int) -> None:
        with suppress(ConnectionError):  # the server has gone; the next look at the socket tells
            self._sock.send(REPLY.pack(id, status))


def _kill(job: Job) -> None:
    """Kill a job with its whole process group."""
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            kill(job.pid, signal.SIGKILL)


def _be_child(kind: Kind, body: bytes) -> NoReturn:
    """Be the process that does the work: nothing of the helper's but its rights."""
    try:
        os.setpgid(0, 0)
        for number in (
            *_NOT_FOR_US,
            signal.SIGPIPE,
            signal.SIGXFSZ,
        ):  # as every program expects them
            signal.signal(number, signal.SIG_DFL)
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):  # the socket was 0
            os.dup2(null, fd)
        os.closerange(3, _OPEN_FILES)
        resource.setrlimit(resource.RLIMIT_CPU, (int(kind.timeout) + 1, int(kind.timeout) + 2))
        os._exit(kind.work(body))
    finally:  # an error too: nothing of this process may return into the helper's loop
        os._exit(TEMPORARY)


def checkpassword(command: tuple[str, ...]) -> Callable[[bytes], int]:
    """Give the work of kind 1. A body is the client's address, ours, name, password and timestamp, each ended by NUL; the
    program finds the last three on descriptor 3, and the addresses where tcpserver puts them."""

    def work(body: bytes) -> int:
        remote, local, secrets = body.split(b"\0", 2)
        if len(secrets) > MAX_SECRETS or secrets.count(b"\0") != 3 or not secrets.endswith(b"\0"):
            return TEMPORARY
        environ = {"PATH": _PATH, "PROTO": "TCP"}
        for name, value in (("TCPREMOTEIP", remote), ("TCPLOCALIP", local)):
            if value:
                environ[name] = str(ipaddress.ip_address(value.decode("ascii")))
        reading, writing = os.pipe()
        os.write(writing, secrets)  # a pipe holds more than that: nobody has to read
        os.close(writing)
        if reading != 3:
            os.dup2(reading, 3)
        os.set_inheritable(3, True)
        try:
            os.execvpe(command[0], command, environ)  # noqa: S606  no shell is wanted
        except OSError:
            return CANNOT_RUN

    return work


def system(files: shadow.Files) -> Callable[[bytes], int]:
    """Give the work of kind 2. A body is name and password, each ended by NUL."""

    def work(body: bytes) -> int:
        user, password, end = body.split(b"\0")
        if end:
            return TEMPORARY
        return 0 if shadow.check(user, password, files, int(time.time() // 86400)) else 1

    return work


def kinds_of(powers: Mapping[str, Any]) -> Mapping[int, Kind]:
    """Read what the helper may do, as `spawn_client.Powers` writes it."""
    kinds = {}
    if powers["command"]:
        work = checkpassword(tuple(powers["command"]))
        at_once = min(powers["commands"], _MOST)
        kinds[CHECKPASSWORD] = Kind(work, powers["command_timeout"], at_once)
    if powers["system"]:
        work = system(shadow.Files(**powers["files"]))
        at_once = min(powers["checks"], _MOST)
        kinds[SYSTEM] = Kind(work, powers["system_timeout"], at_once)
    return kinds


def main() -> None:
    """Be the helper: descriptor 0 is its end of the socket, the last argument what it may do."""
    for number in _NOT_FOR_US:
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no secrets in a core file
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    os.close(os.pidfd_open(os.getpid()))  # a kernel without it (before Linux 5.3) is found now
    sock = socket.socket(fileno=0)
    kinds = kinds_of(json.loads(sys.argv[-1]))
    sock.send(REPLY.pack(0, 0))  # ready
    Helper(sock, kinds).run()

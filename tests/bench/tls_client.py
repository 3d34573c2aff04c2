"""A load generator that says STARTTLS, as smtp-source cannot: one message per connection, every handshake a full one.

    python -m tests.bench.tls_client --sessions 20 --messages 2000 --octets 4096 --to bench@bench.test 127.0.0.1:2525

Each session is a process that handles one connection after the other with blocking sockets, so that no lock of
Python's lies between them. They draw from one pipe that holds an octet for each message, and end when it is empty.
TLS 1.3 only; the certificate is not verified, which would cost the client
alone. Prints one JSON object (`Sent`); exit status 1 with a sentence when the server did not take a message.
"""

import argparse
import json
import os
import resource
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import NoReturn

from tests.bench.peer import Endpoint, Failed
from tests.bench.wire import Wire
from tests.support.programs import ROOT


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be sent."""

    sessions: int
    messages: int
    octets: int  # of a message, as smtp-source counts them
    sender: str
    recipient: str
    patience: float = 60  # seconds that one reply may take


@dataclass(frozen=True, slots=True)
class Sent:
    """How it went."""

    messages: int
    seconds: float  # from the first connection to the last reply
    cpu: float  # seconds of the client's processes


def send(load: Load, to: Endpoint, timeout: float) -> Sent:
    """Run the client as a program of its own and wait until all is sent. Raises Failed."""
    command = [sys.executable, "-m", "tests.bench.tls_client", str(to)]
    command += ["--sessions", str(load.sessions), "--messages", str(load.messages)]
    command += ["--octets", str(load.octets), "--from", load.sender, "--to", load.recipient]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as client:
        try:
            told, complaint = client.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise Failed(f"the messages were not all sent over TLS within {timeout:g} s") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(client.pid, signal.SIGKILL)  # with its sessions
    if client.returncode != 0:
        said = complaint.strip().splitlines() or [f"status {client.returncode}"]
        raise Failed(f"the TLS client: {said[-1]}")
    return Sent(**json.loads(told))


def context() -> ssl.SSLContext:
    """TLS 1.3 without verification. A session is never offered again: Python's client does so only when told."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def message(octets: int) -> bytes:
    """A message of about so many octets, as smtp-source makes them: a short header and lines of X."""
    header = b"From: <bench@sender.example>\r\nSubject: a message over TLS\r\n\r\n"
    lines, rest = divmod(max(0, octets - len(header)), 80)
    return (
        header + (b"X" * 78 + b"\r\n") * lines + (b"X" * (rest - 2) + b"\r\n" if rest > 2 else b"")
    )


def deliver(load: Load, to: Endpoint, tls: ssl.SSLContext, content: bytes) -> None:
    """One connection with one message. Raises Failed or OSError."""
    with socket.create_connection(to, load.patience) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = Wire(plain)
        wire.expect("220")
        wire.ask("EHLO client.example", "250")
        wire.ask("STARTTLS", "220")
        if wire.left:
            raise Failed("octets after the reply to STARTTLS that are not TLS")
        with tls.wrap_socket(plain) as secured:
            if secured.version() != "TLSv1.3" or secured.session_reused:
                raise Failed(f"not a full TLS 1.3 handshake: {secured.version()}")
            wire = Wire(secured)
            wire.ask("EHLO client.example", "250")
            wire.transaction(load.sender, load.recipient, content)
            wire.ask("QUIT", "221")


def work(load: Load, to: Endpoint, turns: int) -> None:
    """Deliver one message for each octet that can be read from `turns`."""
    tls, content = context(), message(load.octets)
    while os.read(turns, 1):
        deliver(load, to, tls, content)


def run(load: Load, to: Endpoint) -> Sent:
    """Send it all with `load.sessions` processes. Raises Failed with the first complaint."""
    turns, fill = os.pipe()
    complaints, complain = os.pipe()
    children = []
    began = time.monotonic()
    for _ in range(load.sessions):
        if (child := os.fork()) == 0:
            os.close(fill)  # or the end of the messages would never be seen
            os.close(complaints)
            _session(load, to, turns, complain)
        children.append(child)
    os.close(turns)
    os.close(complain)
    with suppress(BrokenPipeError):  # every session has failed
        _fill(fill, load.messages)
    os.close(fill)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    seconds = time.monotonic() - began
    with os.fdopen(complaints, encoding="utf-8") as lines:
        said = lines.readline().strip()
    if any(statuses):
        raise Failed(said or "a session ended without a word")
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Sent(load.messages, seconds, spent.ru_utime + spent.ru_stime)


def _fill(pipe: int, count: int) -> None:
    while count:
        count -= os.write(pipe, bytes(min(count, 4096)))


def _session(load: Load, to: Endpoint, turns: int, complain: int) -> NoReturn:
    """A forked process's whole life; it never goes back into the parent's code."""
    status = 1
    try:
        work(load, to, turns)
        status = 0
    except (Failed, OSError) as error:
        os.write(complain, f"{error}\n".encode())
    finally:
        os._exit(status)


def parsed(words: Sequence[str]) -> tuple[Load, Endpoint]:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="SMTP load over STARTTLS")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--octets", type=int, default=4096)
    parser.add_argument("--from", dest="sender", default="bench@sender.example")
    parser.add_argument("--to", dest="recipient", required=True)
    parser.add_argument("address", metavar="HOST:PORT")
    given = parser.parse_args(words)
    host, _, port = given.address.rpartition(":")
    load = Load(given.sessions, given.messages, given.octets, given.sender, given.recipient)
    return load, Endpoint(host, int(port))


def main() -> None:
    load, to = parsed(sys.argv[1:])
    try:
        sent = run(load, to)
    except Failed as reason:
        sys.exit(str(reason))
    print(json.dumps(asdict(sent)))


if __name__ == "__main__":
    main()

"""W1: messages per second from the client's connection to the Maildir, ours against Postfix in the same run.

    scripts/bench-w1 [--messages 5000] [--sessions 20 100] [--rounds 3]

Postfix's own smtp-source sends messages of 4 KB, one per connection, over 20 and over 100 connections at once. A run
ends when the last message is in the Maildir. Both servers are durable: fsync before 250, fsync at delivery. They take
turns on one disk, each with the machine to itself.

Postfix keeps its defaults, with the limits raised that would hold it back here (more smtpd and delivery
processes, no connection limits, no in_flow_delay), and it writes no log, while ours goes into a pipe that is read.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bench.cpu import session_seconds
from tests.bench.disk import journaled
from tests.support import postfix
from tests.support.programs import environment, postfix_program, run
from tests.support.server import DOMAIN, prepared

OCTETS = 4096
POSTFIX = {
    "maillog_file": "",
    "default_process_limit": "200",
    "smtpd_client_connection_count_limit": "0",
    "smtpd_client_connection_rate_limit": "0",
    "smtpd_client_message_rate_limit": "0",
    "in_flow_delay": "0",
    "default_destination_concurrency_limit": "100",
    "virtual_destination_concurrency_limit": "20",
}


@dataclass(frozen=True, slots=True)
class Contestant:
    name: str
    address: str
    pid: int
    domain: str
    inbox: Callable[[str], Path]  # new/ of a user


@dataclass(frozen=True, slots=True)
class Result:
    rate: float  # messages per second
    cpu: float  # milliseconds per message


def measure(who: Contestant, user: str, messages: int, sessions: int) -> Result:
    """One run: send, wait for the last message, count."""
    command = [postfix_program("smtp-source"), "-s", str(sessions), "-m", str(messages)]
    command += ["-l", str(OCTETS), "-f", "a@sender.example", "-t", f"{user}@{who.domain}"]
    spent, began = session_seconds(who.pid), time.monotonic()
    subprocess.run([*command, who.address], env=environment(), check=True)
    _wait_files(who.inbox(user), messages)
    seconds = time.monotonic() - began
    cpu = session_seconds(who.pid) - spent
    return Result(messages / seconds, cpu * 1000 / messages)


def _wait_files(inbox: Path, count: int) -> None:
    end = time.monotonic() + 120
    while not inbox.is_dir() or sum(1 for _ in os.scandir(inbox)) < count:
        if time.monotonic() > end:
            raise SystemExit(f"{inbox}: the messages do not arrive")
        time.sleep(0.02)


def compare(arguments: argparse.Namespace, directory: Path) -> None:
    runs = [(round_, n) for round_ in range(arguments.rounds) for n in arguments.sessions]
    users = ["warm", *(f"r{round_}s{n}" for round_, n in runs)]  # a Maildir for each run
    with ExitStack() as stack:
        ours = prepared(directory / "notqmail", users=users)
        stack.callback(ours.close)
        ours.start()
        peer = stack.enter_context(postfix.running(users=users, below=directory, **POSTFIX))
        contestants = (
            Contestant(
                "notqmail", ours.address, ours.pid, DOMAIN, lambda user: ours.maildir(user) / "new"
            ),
            Contestant(
                "Postfix",
                f"{peer.host}:{peer.port}",
                peer.pid,
                postfix.DOMAIN,
                lambda user: peer.maildir(user) / "new",
            ),
        )
        for who in contestants:
            measure(who, "warm", 200, 20)
        results: dict[tuple[str, int], list[Result]] = {}
        for round_, sessions in runs:
            for who in contestants[:: 1 if round_ % 2 else -1]:
                result = measure(who, f"r{round_}s{sessions}", arguments.messages, sessions)
                results.setdefault((who.name, sessions), []).append(result)
                print(
                    f"  round {round_ + 1}, {sessions} sessions, {who.name}: {result.rate:.0f}/s, "
                    f"{result.cpu:.2f} ms CPU",
                    flush=True,
                )
    for sessions in arguments.sessions:
        report(sessions, results["notqmail", sessions], results["Postfix", sessions])


def report(sessions: int, ours: Sequence[Result], theirs: Sequence[Result]) -> None:
    print(f"\n{sessions} sessions    messages/s, median (min–max)    CPU ms per message")
    for name, results in (("notqmail", ours), ("Postfix", theirs)):
        rates, cpu = [r.rate for r in results], [r.cpu for r in results]
        spread = f"{statistics.median(rates):.0f} ({min(rates):.0f}–{max(rates):.0f})"
        print(
            f"  {name:<12} {spread:<32} {statistics.median(cpu):.2f} ({min(cpu):.2f}–{max(cpu):.2f})"
        )
    ratios = [a.rate / b.rate for a, b in zip(ours, theirs, strict=True)]
    print(f"  ratio        {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description="W1: our server against Postfix, end to end")
    parser.add_argument("--messages", type=int, default=5000, help="per run")
    parser.add_argument("--sessions", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    try:
        with journaled() as disk:
            version = run([postfix_program("postconf"), "-d", "-h", "mail_version"]).output.split()[
                -1
            ]
            print(
                f"W1, {arguments.messages} messages of {OCTETS} octets per run, one per connection, end to end"
            )
            print(
                f"Python {platform.python_version()}, Postfix {version}, {os.cpu_count()} CPUs, "
                f"Linux {platform.release()}\ndisk: {disk.note}\n"
                f"load before: {os.getloadavg()[0]:.1f} (other work takes more from one process than from many)"
            )
            compare(arguments, disk.path)
    except pytest.skip.Exception as reason:
        sys.exit(f"bench-w1: {reason}")


if __name__ == "__main__":
    main()

"""W1, receive only, with both shapes of the session over one grammar and one dialogue: the figures of ADR 1.

    python -m tests.bench.session_shapes --smtp-source PATH [-n MESSAGES]

Shape A is a subclass of aiosmtpd.smtp.SMTP whose command loop and DATA are the dialogue; B is the
asyncio.Protocol of smtpd/session.py. Nothing is stored. Load is Postfix's smtp-source, 4 KB messages.
"""

import argparse
import asyncio
import os
import resource
import statistics
import time
from pathlib import Path

import uvloop
from aiosmtpd.smtp import SMTP

from notqmail.config import Limits
from notqmail.policy.transaction import Session
from notqmail.smtpd.dialogue import Dialogue
from notqmail.smtpd.registry import Registry, peer_of
from notqmail.smtpd.session import SmtpSession
from tests.support.smtpd import Intake, service


class Subclass(SMTP):
    """Shape A: the library's life cycle and stream, our dialogue."""

    line_length_limit = 65536

    def __init__(self, registry: Registry, made) -> None:
        self._registry, self._made = registry, made
        super().__init__(object(), hostname="mx.example.org", loop=registry.loop)

    async def _handle_client(self) -> None:
        session = Session(id="a1", listener="mx", kind="mx", peer=peer_of(self.transport))
        dialogue = Dialogue(session, self._made)
        work = dialogue.open()
        while True:
            if work is not None:
                await work
            if dialogue.out:
                self._writer.write(b"".join(dialogue.out))
                dialogue.out.clear()
                await self._writer.drain()
            if dialogue.closed:
                break
            if work is None:
                octets = await self._reader.read(65536)
                if not octets:
                    break
                self._reset_timeout()
                dialogue.feed(octets)
            work = dialogue.advance()
        self.transport.close()


async def measure(
    shape: str, source: str, count: int, parallel: int, keep: bool
) -> tuple[float, float]:
    loop = asyncio.get_running_loop()
    intake = Intake()
    intake.remember = False
    made = service(intake=intake, limits=Limits(connections_per_ipv4=10000, messages=10**9))
    registry = Registry("mx", made.limits, made.counts)
    factory = (
        (lambda: Subclass(registry, made))
        if shape == "A"
        else (lambda: SmtpSession(made, registry))
    )
    server = await loop.create_server(factory, "127.0.0.1", 0, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    before, began = cpu(), time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        source,
        "-s",
        str(parallel),
        "-m",
        str(count),
        "-l",
        "4096",
        *(["-d"] if keep else []),
        "-f",
        "a@example.net",
        "-t",
        "alice@example.org",
        f"inet:127.0.0.1:{port}",
    )
    await process.wait()
    spent = time.perf_counter() - began
    server.close()
    assert process.returncode == 0
    return count / spent, (cpu() - before) / count * 1000


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smtp-source", required=True, type=Path)
    parser.add_argument("-n", type=int, default=3000)
    args = parser.parse_args()
    os.environ.setdefault("LD_LIBRARY_PATH", str(args.smtp_source.parents[2] / "usr/lib/postfix"))
    print("shape workload            messages/s  CPU ms/message   (median of 3)")
    for keep in (False, True):
        for shape in ("A", "B"):
            runs = [
                uvloop.run(measure(shape, str(args.smtp_source), args.n, 20, keep))
                for _ in range(3)
            ]
            rate = statistics.median(r for r, _ in runs)
            spent = statistics.median(c for _, c in runs)
            print(
                f"{shape:5} {'W1k, kept' if keep else 'W1, one per connection':22} {rate:10.0f} {spent:14.3f}"
            )


if __name__ == "__main__":
    main()

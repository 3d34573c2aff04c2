"""How fast the queue is: messages committed and settled per second, and CPU per message.

    python -m tests.bench.store_rate [--messages 20000] [--octets 4096] [--parallel 100] [--recipients 1]
                                     [--directory /var/tmp] [--work 0] [--profile]

Each message is written to a draft, committed, and settled as delivered. `--work` microseconds of computing between
the two stand for the rest of the server, which competes with the writer thread for the interpreter.
"""

import argparse
import asyncio
import cProfile
import pstats
import tempfile
import time
from pathlib import Path

import uvloop

from notqmail.config import Queue
from notqmail.mail.address import Address
from notqmail.mail.entry import Routed
from notqmail.mail.envelope import Envelope, Recipient
from notqmail.mail.header import HeaderEdit
from notqmail.mail.hop import Hop
from notqmail.mail.message import Message
from notqmail.mail.outcome import Action, Outcome
from notqmail.mail.reply import Reply
from notqmail.store.sqlite import SqliteStore
from notqmail.system.clock import SystemClock

RECEIVED = HeaderEdit("prepend", b"Received: from client.example.net by mx.example.org;\r\n" * 4)
DONE = Reply(250, "2.0.0", "delivered")
LATENCIES: list[float] = []


def busy(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


async def one(store: SqliteStore, number: int, octets: bytes, args: argparse.Namespace) -> None:
    draft = store.draft()
    for start in range(0, len(octets), 65536):
        writing = draft.write(octets[start : start + 65536])
        if writing is not None:
            await writing
    recipients = tuple(
        Recipient(Address(f"user{number}.{n}", "example.org")) for n in range(args.recipients)
    )
    envelope = Envelope(Address("a", "example.net"), recipients)
    message = Message(envelope, draft.content(), (RECEIVED,))
    hops = tuple(Hop("local", str(r.address)) for r in recipients)
    started = time.perf_counter()
    entries = await draft.commit(Routed(f"{number:013d}", message, hops, time.time()))
    LATENCIES.append(time.perf_counter() - started)
    if args.work:
        busy(args.work / 1e6)
    for entry in entries:
        results = [Outcome(r, Action.DELIVERED, DONE) for r in entry.recipients]
        await store.settle(entry, results)


async def run(args: argparse.Namespace, root: Path) -> tuple[float, float]:
    """Commit and settle everything, `parallel` at a time; give seconds of wall clock and of CPU."""
    store = await SqliteStore.start(root, Queue(free_space=0), SystemClock())
    octets = b"x" * args.octets
    numbers = iter(range(args.messages))

    async def client() -> None:
        for number in numbers:
            await one(store, number, octets, args)

    profile = cProfile.Profile()
    wall, cpu = time.perf_counter(), time.process_time()
    if args.profile:
        profile.enable()
    await asyncio.gather(*(client() for _ in range(args.parallel)))
    if args.profile:
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
    spent = time.perf_counter() - wall, time.process_time() - cpu
    assert not any((await store.counts()).values())
    await store.close()
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--octets", type=int, default=4096)
    parser.add_argument("--parallel", type=int, default=100)
    parser.add_argument("--recipients", type=int, default=1)
    parser.add_argument("--work", type=float, default=0)
    parser.add_argument("--directory", default="/var/tmp")
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.directory) as root:
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        with runner:
            wall, cpu = runner.run(run(args, Path(root)))
    LATENCIES.sort()
    print(
        f"{args.messages} messages of {args.octets} octets, {args.recipients} recipient(s), "
        f"{args.parallel} at a time: {args.messages / wall:.0f}/s, "
        f"{cpu / args.messages * 1e3:.3f} ms CPU each, commit p50 "
        f"{LATENCIES[len(LATENCIES) // 2] * 1e3:.1f} ms, p99 {LATENCIES[len(LATENCIES) * 99 // 100] * 1e3:.1f} ms"
    )


if __name__ == "__main__":
    main()

"""How fast Maildir delivery is: messages per second, and CPU per message.

    python -m tests.bench.maildir_rate [--messages 4000] [--octets 4096] [--parallel 100] [--mailboxes 1]
                                       [--directory /var/tmp] [--profile]

Run it on a file system with a journal (see `mount`, `tune2fs -l`): others give figures that mean little.
"""

import argparse
import asyncio
import cProfile
import pstats
import tempfile
import time
from pathlib import Path

import uvloop

from notqmail.config import Mailbox
from notqmail.delivery.maildir import MaildirTransport
from notqmail.mail.address import Address
from notqmail.mail.entry import Entry
from notqmail.mail.envelope import Envelope, Recipient
from notqmail.mail.header import HeaderEdit
from notqmail.mail.hop import Hop
from notqmail.mail.message import Message, Octets
from notqmail.system.clock import SystemClock
from notqmail.system.offload import ThreadPool

RECEIVED = HeaderEdit(
    "prepend",
    b"Received: from client.example.net (client.example.net [127.0.0.1])\r\n"
    b"\tby mx.example.org with ESMTP id 0000000000000\r\n"
    b"\tfor <alice@example.org>; Thu, 1 Jan 2026 00:00:00 +0000\r\n",
)


def entries(args: argparse.Namespace) -> list[Entry]:
    line = b"x" * 70 + b"\r\n"
    content = Octets(
        b"From: a@example.net\r\nSubject: s\r\n\r\n" + line * (args.octets // len(line))
    )
    found = []
    for i in range(args.messages):
        mailbox = Address(f"user{i % args.mailboxes}", "example.org")
        envelope = Envelope(Address("a", "example.net"), (Recipient(mailbox),))
        message = Message(envelope, content, (RECEIVED,))
        found.append(Entry(f"{i:013d}", message, Hop("local", str(mailbox)), time.time(), token=1))
    return found


async def run(args: argparse.Namespace, root: Path) -> tuple[float, float]:
    """Deliver everything, `parallel` at a time; give seconds of wall clock and of CPU."""
    pool = ThreadPool(2)
    transport = MaildirTransport(root, Mailbox(), "mx.example.org", SystemClock(), pool)
    waiting = iter(entries(args))

    async def deliver() -> None:
        for entry in waiting:
            (outcome,) = await transport.deliver(entry)
            assert outcome.final, outcome

    wall, cpu = time.monotonic(), time.process_time()
    await asyncio.gather(*(deliver() for _ in range(args.parallel)))
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    await transport.close()
    await pool.close()
    return wall, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=4000)
    parser.add_argument("--octets", type=int, default=4096)
    parser.add_argument("--parallel", type=int, default=100)
    parser.add_argument("--mailboxes", type=int, default=1)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--profile", action="store_true", help="of the event loop's thread")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.directory) as name, cProfile.Profile() as profile:
        if not args.profile:
            profile.disable()
        wall, cpu = uvloop.run(run(args, Path(name)))
        profile.disable()
    rate, each = args.messages / wall, 1000 * cpu / args.messages
    print(f"{args.messages} messages of {args.octets} octets: {rate:.0f}/s, {each:.3f} ms CPU each")
    if args.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(15)


if __name__ == "__main__":
    main()

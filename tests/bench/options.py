"""The command line of scripts/bench."""

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from tests.bench.servers import OURS, REFERENCE, SERVERS
from tests.bench.workloads import WORKLOADS

ROUNDS = 3
QUICK_WORKLOADS = ("W1", "W1-100", "W1k", "W2")
QUICK_SERVERS = (OURS, REFERENCE)


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured, and what becomes of it."""

    workloads: tuple[str, ...]
    servers: tuple[str, ...]
    rounds: int = ROUNDS
    messages: int | None = None
    quick: bool = False
    json: bool = False
    record: bool = False
    command: str = "scripts/bench"  # with its arguments


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; what is wrong with it is one sentence on stderr and SystemExit(2)."""
    parser = _parser()
    given = parser.parse_args(arguments)
    workloads = given.workloads or (QUICK_WORKLOADS if given.quick else tuple(WORKLOADS))
    servers = given.servers or (QUICK_SERVERS if given.quick else SERVERS)
    if given.rounds < 1 or (given.messages is not None and given.messages < 1):
        parser.error("--rounds and --messages must be at least 1")
    whole = _whole(given)
    if given.record and not whole:
        parser.error(
            "--record writes down whole runs only: leave out --workloads, --servers, --messages and fewer rounds "
            f"than {ROUNDS}"
        )
    record = (whole and not given.quick) if given.record is None else given.record
    return Options(
        tuple(name for name in WORKLOADS if name in workloads),
        tuple(name for name in SERVERS if name in servers),
        given.rounds,
        given.messages,
        given.quick,
        given.json,
        record,
        shlex.join(("scripts/bench", *arguments)),
    )


def _whole(given: argparse.Namespace) -> bool:
    """Whether everything is measured that belongs to such a run."""
    chosen = given.workloads or given.servers or given.messages is not None
    return not chosen and given.rounds >= ROUNDS


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="scripts/bench",
        description="Measure this server and others on the same work, on the same disk, in the same run.",
        epilog="example: scripts/bench --workloads W1 W2 --servers notqmail postfix --rounds 1",
    )
    parser.add_argument(
        "--workloads", nargs="+", choices=WORKLOADS, metavar="W", help=" ".join(WORKLOADS)
    )
    parser.add_argument(
        "--servers", nargs="+", choices=SERVERS, metavar="NAME", help=" ".join(SERVERS)
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default {ROUNDS}")
    parser.add_argument("--messages", type=int, help="of one run, in place of each workload's own")
    quick = f"{' '.join(QUICK_WORKLOADS)} against Postfix alone, in some minutes"
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--json", action="store_true", help="one JSON object, not a table")
    parser.add_argument(
        "--record",
        action=argparse.BooleanOptionalAction,
        help="write docs/explanation/performance.md; by default when all is measured",
    )
    return parser

"""The result in words: for the terminal and for the page."""

from collections.abc import Sequence

from tests.crash import kill, power
from tests.crash.ledger import Account
from tests.crash.progress import clock
from tests.support.machine import commit, day, machine

SHOWN = 10  # lost messages named one by one


def progress(what: str, done: int, of: int, answered: int, account: Account, seconds: float) -> str:
    """The line that is shown while it runs. Delivered, twice and lost are those of the latest audit."""
    left = clock(seconds / done * (of - done)) if done else "?"
    return (
        f"{what} {done}/{of}  accepted {answered:,}  counted {account.delivered:,} of {account.promised:,}  "
        f"twice {account.twice}  lost {len(account.lost)}  ETA {left}"
    )


def kill_rows(tally: kill.Tally) -> Sequence[tuple[str, str]]:
    """The table of `scripts/crash kill`."""
    return (
        ("kill -9", f"{tally.kills}"),
        ("… before the server was ready", f"{tally.starting}"),
        ("SIGTERM under load", f"{tally.stops}"),
        *_counted(tally.answered, tally.account, tally.kills, "kill"),
        ("duration", clock(tally.seconds)),
    )


def power_rows(tally: power.Tally) -> Sequence[tuple[str, str]]:
    """The table of `scripts/crash power`."""
    return (
        ("cuts, the kernel's and the disk's in turn", f"{tally.cuts}"),
        *_counted(tally.answered, tally.account, tally.cuts, "cut"),
        ("file systems that e2fsck found damaged", "0"),
        ("duration", clock(tally.seconds)),
    )


def _counted(
    answered: int, account: Account, crashes: int, crash: str
) -> Sequence[tuple[str, str]]:
    twice = f"{account.twice} ({account.twice / max(crashes, 1):.2f} per {crash})"
    return (
        ("messages answered 250", f"{answered:,}"),
        ("deliveries they owe", f"{account.promised:,}"),
        ("found whole", f"{account.delivered:,}"),
        ("**lost**", f"**{len(account.lost)}**"),
        ("found twice", twice),
        ("found three times or more", f"{account.more}"),
        (f"second copies without a {crash} before them", f"{len(account.unexplained)}"),
        (f"delivered, the 250 lost in a {crash}", f"{account.unanswered}"),
    )


def plain(rows: Sequence[tuple[str, str]]) -> str:
    """The table for the terminal."""
    bare = [(name.replace("*", ""), value.replace("*", "")) for name, value in rows]
    width = max(len(name) for name, _ in bare)
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in bare)


def page(command: str, rows: Sequence[tuple[str, str]]) -> str:
    """The table for the page, with what it was measured on."""
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"`{command}`, {day()}, commit {commit()}: {machine()}.\n\n| | |\n|---|---:|\n{table}\n"


def faults(account: Account) -> str:
    """What is wrong, message by message; empty when nothing is."""
    lines = [f"lost: {p.id} to {p.recipient}, {p.octets} octets" for p in account.lost[:SHOWN]]
    lines += [
        f"twice without a crash: {p.id} to {p.recipient}" for p in account.unexplained[:SHOWN]
    ]
    more = len(account.lost) + len(account.unexplained) - len(lines)
    return "\n".join([*lines, *([f"and {more} more"] if more else [])])

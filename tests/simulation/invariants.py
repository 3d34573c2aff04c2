"""What must be true after every run, whatever has happened. Each rule gives sentences about how it was broken.

`kept`        every recipient that was accepted ends: delivered, or its failure told to the sender or the postmaster
`once`        ... once; twice only where the server could not know that it had been done
`honest`      nothing is delivered that nobody handed in, nor to anybody else, nor otherwise than it was handed in
`silent`      a null sender is told nothing; what it could not be told, the postmaster hears, once
`prompt`      mail for here is in its mailbox soon, whatever goes on elsewhere, unless the server was disturbed
`guarded`     what asked for TLS is never shown to a peer without it
`quiet`       no task left, no error logged, none that reached the event loop, and an empty queue
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from tests.simulation.ledger import (
    Acceptance,
    Copy,
    Doubt,
    Ledger,
    Letter,
    Report,
    read_report,
)
from tests.simulation.plan import HOME, Plan, leaves

SOON = 120.0  # seconds in which mail for a mailbox here must be there


@dataclass
class Findings:
    """The ledger, read. An end is what became of one recipient of one acceptance: (queue id, address)."""

    plan: Plan
    ledger: Ledger
    journal: Sequence[Mapping[str, Any]]
    left_over: Sequence[str]
    empty: bool

    @cached_property
    def owed(self) -> dict[tuple[str, str], Letter]:
        """Who must hear of which acceptance."""
        return {
            (acceptance.id, leaf): acceptance.letter
            for acceptance in self.ledger.acceptances
            for recipient in acceptance.recipients
            for leaf in leaves(recipient)
        }

    @cached_property
    def delivered(self) -> dict[tuple[str, str], list[Copy]]:
        """Copies by end, in order of time."""
        found: defaultdict[tuple[str, str], list[Copy]] = defaultdict(list)
        for copy in sorted(self.ledger.copies, key=lambda copy: copy.at):
            for recipient in copy.recipients:
                found[copy.id, recipient.lower()].append(copy)
        return found

    @cached_property
    def reports(self) -> list[tuple[Copy, Report]]:
        """Copies that are reports of ours."""
        return [
            (copy, report)
            for copy in self.ledger.copies
            if not copy.number and (report := read_report(copy.octets)) is not None
        ]

    @cached_property
    def told(self) -> dict[tuple[str, str], set[str]]:
        """Of which failures somebody was told, by the ids of the reports: in a mailbox, or inside another report."""
        found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        for _, report in self.reports:
            for each in report.chain():
                for told in each.told:
                    if told.action == "failed":
                        found[told.id, told.recipient].add(each.id)
        return found

    def interrupted(self, begin: float, end: float) -> bool:
        """Say whether the server was killed or stopped in between."""
        return any(begin <= at <= end for at in self.ledger.interruptions)

    def disturbed(self, begin: float, end: float) -> bool:
        """Say whether it could not work at any time in between."""
        return any(b <= end and begin <= e for b, e in self.ledger.disturbances)


def kept(found: Findings) -> Iterator[str]:
    for end, letter in found.owed.items():
        if end not in found.delivered and end not in found.told:
            yield f"lost: letter {letter.number}, accepted as {end[0]} for {end[1]}"


def once(found: Findings) -> Iterator[str]:
    for (id, recipient), copies in found.delivered.items():
        for first, second in pairwise(copies):
            # what an attempt had sent when it was cut off may be taken after what the next one sent
            began = min(first.at, second.began)
            if first.confirmed and not found.interrupted(began, second.at):
                yield f"twice: {id} for {recipient} at {first.where} {first.at:.3f} and {second.where} {second.at:.3f}"
        sure = any(copy.confirmed for copy in copies) and not found.ledger.interruptions
        if sure and found.told.get((id, recipient)):
            yield f"delivered and reported as failed: {id} for {recipient}"
    for (id, recipient), reports in found.told.items():
        if len(reports) > 1:
            yield f"reported twice: {id} for {recipient} in {' and '.join(sorted(reports))}"
    yield from _too_many(found)


def _too_many(found: Findings) -> Iterator[str]:
    """Nobody gets a letter under more queue ids than it was taken under, or may have been."""
    allowed: Counter[tuple[int, str]] = Counter()
    everything: list[Acceptance | Doubt] = [*found.ledger.acceptances, *found.ledger.doubts]
    for taken in everything:
        for leaf in {leaf for recipient in taken.recipients for leaf in leaves(recipient)}:
            allowed[taken.letter.number, leaf] += 1
    ids: defaultdict[tuple[int, str], set[str]] = defaultdict(set)
    for (id, recipient), copies in found.delivered.items():
        for copy in copies:
            if copy.number:
                ids[copy.number, recipient].add(id)
    for key, names in ids.items():
        if len(names) > allowed[key]:
            yield f"too many: letter {key[0]} for {key[1]} came as {' '.join(sorted(names))}, taken {allowed[key]} times"


def honest(found: Findings) -> Iterator[str]:
    known = {report.id for _, report in found.reports}
    for copy in found.ledger.copies:
        letter = found.ledger.letters.get(copy.number)
        if letter is None:
            if copy.id not in known:
                yield f"out of thin air: {copy.id} at {copy.where} for {copy.recipients}"
            continue
        wanted = {leaf for recipient in letter.recipients for leaf in leaves(recipient)}
        for recipient in copy.recipients:
            if recipient.lower() not in wanted:
                yield f"astray: letter {letter.number} came to {recipient}"
        whole = copy.octets if b"\r\n" in copy.octets else copy.octets.replace(b"\n", b"\r\n")
        if not whole.endswith(letter.content):
            yield f"altered: letter {letter.number} at {copy.where}"
        if copy.sender != letter.sender and "@" not in copy.where:
            yield f"sender changed: letter {letter.number} came from {copy.sender!r}"


def silent(found: Findings) -> Iterator[str]:
    postmaster = found.plan.config.postmaster
    senders = {a.id: a.letter.sender for a in found.ledger.acceptances}
    reports = {report.id: report for _, report in found.reports}
    for _, report in found.reports:
        reports.update({each.id: each for each in report.chain()})
    for copy, report in found.reports:
        for told in report.told:
            if told.id in reports:
                right = postmaster
            elif told.id in senders:
                right = senders[told.id] or postmaster
            elif found.ledger.doubts:
                continue  # it may be about one of those
            else:
                yield f"a report {report.id} about {told.id}, which nobody has handed in"
                continue
            if tuple(r.lower() for r in copy.recipients) != (right.lower(),):
                yield f"report {report.id} about {told.id} came to {copy.recipients}, not to {right}"
        if copy.sender:
            yield f"report {report.id} has the sender {copy.sender}"


def prompt(found: Findings) -> Iterator[str]:
    arrived = {
        (record["id"], outcome["to"].lower()): record["virtual"]
        for record in found.journal
        if record["kind"] == "attempt"
        for outcome in record["outcomes"]
        if outcome["action"] == "delivered"
    }
    for acceptance in found.ledger.acceptances:
        for recipient in acceptance.recipients:
            for leaf in leaves(recipient):
                at = arrived.get((acceptance.id, leaf))
                if at is None or not leaf.endswith(f"@{HOME}"):
                    continue
                late = at - acceptance.at > SOON
                if late and not found.disturbed(acceptance.at, at):
                    yield f"late: {acceptance.id} for {leaf} took {at - acceptance.at:.0f} s"


def guarded(found: Findings) -> Iterator[str]:
    for copy in found.ledger.copies:
        letter = found.ledger.letters.get(copy.number)
        if letter is not None and letter.requiretls and "@" not in copy.where and not copy.tls:
            yield f"in clear: letter {letter.number}, which asked for TLS, at {copy.where}"


def quiet(found: Findings) -> Iterator[str]:
    yield from found.ledger.complaints
    if found.left_over:
        yield f"tasks left over: {' '.join(found.left_over)}"
    if not found.empty:
        yield "the queue is not empty long after the time of everything was up"


RULES: tuple[Callable[[Findings], Iterator[str]], ...] = (
    kept,
    once,
    honest,
    silent,
    prompt,
    guarded,
    quiet,
)


def violations(found: Findings) -> Iterator[str]:
    """Everything that is wrong."""
    for rule in RULES:
        yield from rule(found)

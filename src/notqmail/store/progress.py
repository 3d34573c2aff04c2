"""What an attempt's outcomes mean for an entry: finished, or what remains. Pure."""

from collections.abc import Sequence

from notqmail.mail.entry import Entry
from notqmail.mail.envelope import Recipient
from notqmail.mail.outcome import Outcome
from notqmail.store.ops import Progress
from notqmail.store.rows import pack_last


def progress_of(
    entry: Entry, outcomes: Sequence[Outcome], next_due: float | None, delay_told: bool
) -> Progress | None:
    """Give what remains after an attempt, None when nothing does. A recipient without an outcome remains.

    Raises ValueError for an outcome of somebody else, and when something remains without `next_due`.
    """
    recipients = entry.recipients
    if all(o.final for o in outcomes) and tuple(o.recipient for o in outcomes) == recipients:
        return None  # most mail
    finished, last = _by_position(recipients, outcomes)
    if len(finished) == len(recipients):
        return None
    if next_due is None:
        raise ValueError(f"m={entry.id}: recipients remain, and no time to try them again")
    return Progress(finished, last, next_due, delay_told)


def _by_position(
    recipients: Sequence[Recipient], outcomes: Sequence[Outcome]
) -> tuple[set[int], dict[int, str]]:
    """Find each outcome's recipient. One who stands twice has two outcomes, in order."""
    places: dict[Recipient, list[int]] = {}
    for position in reversed(range(len(recipients))):
        places.setdefault(recipients[position], []).append(position)
    finished: set[int] = set()
    last: dict[int, str] = {}
    for outcome in outcomes:
        positions = places.get(outcome.recipient)
        if not positions:
            raise ValueError(f"no recipient of this entry: {outcome.recipient.address}")
        position = positions.pop()
        if outcome.final:
            finished.add(position)
        else:
            last[position] = pack_last(outcome)
    return finished, last

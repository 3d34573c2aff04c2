"""What is written down of an attempt: one journal record, and one log line for each recipient."""

import logging
from collections.abc import Sequence

from notqmail.journal import attempt_record
from notqmail.mail.entry import Entry
from notqmail.mail.outcome import Outcome
from notqmail.ports import Journal
from notqmail.queue.conclude import Conclusion

_log = logging.getLogger("notqmail.queue")


def record_attempt(
    journal: Journal, entry: Entry, conclusion: Conclusion, now: float, seconds: float
) -> None:
    """Write down how an attempt ended; `seconds` is how long it took."""
    journal.write(attempt_record(entry, conclusion.outcomes, now, seconds, conclusion.next_due))
    if _log.isEnabledFor(logging.INFO):
        for outcome in conclusion.outcomes:
            _log_outcome(entry, outcome, seconds)
    dropped: Sequence[Outcome] = conclusion.dropped
    for outcome in dropped:
        _log.warning(
            "dropped, nobody is left to be told m=%s to=%s reply=%r",
            entry.id,
            outcome.recipient.address,
            str(outcome.reply),
        )


def _log_outcome(entry: Entry, outcome: Outcome, seconds: float) -> None:
    _log.info(
        "%s m=%s to=%s hop=%s mta=%s tls=%r reply=%r seconds=%.3f",
        outcome.action.value,
        entry.id,
        outcome.recipient.address,
        entry.hop.destination,
        outcome.remote_mta,
        "" if outcome.tls is None else str(outcome.tls),
        str(outcome.reply),
        seconds,
    )

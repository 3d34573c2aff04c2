"""What follows from an attempt: pure rules of patience and of telling the sender (RFC 3461 §5.2, RFC 5321 §6.1).

A failure is told unless NOTIFY forbids it, a success only when NOTIFY asks, a delay once. A null sender is told
nothing, ever; the failure of its message (a bounce, mostly) goes to the postmaster instead, and that report says
NOTIFY=NEVER, by which its own failure is recognised: it is dropped, and the journal has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from notqmail.config import Queue
from notqmail.mail.address import Address
from notqmail.mail.dsn import Kind
from notqmail.mail.entry import Entry
from notqmail.mail.envelope import Notify, Recipient
from notqmail.mail.outcome import Action, Outcome
from notqmail.mail.reply import Reply
from notqmail.queue.plan import REMOTE_TRANSPORT, Feedback
from notqmail.queue.schedule import next_retry

_SUCCESS = frozenset({Action.DELIVERED, Action.RELAYED, Action.EXPANDED})
BROKEN = Reply(451, "4.3.0", "a fault in this mail system, delivery is tried again")


@dataclass(frozen=True, slots=True)
class Notice:
    """A report to be made: what it tells, to whom, of which outcomes."""

    kind: Kind
    to: Recipient
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Conclusion:
    """`outcomes` are final where patience has ended; `next_due` wall-clock seconds, None when nothing is left to
    try. `delay_told` when the time of the delay notice has come, wanted or not. `dropped` are failures of which nobody can be told. `deadline` is when patience ends."""

    outcomes: tuple[Outcome, ...]
    next_due: float | None
    notices: tuple[Notice, ...]
    delay_told: bool
    dropped: tuple[Outcome, ...]
    deadline: float


def conclude(
    entry: Entry, outcomes: Sequence[Outcome], now: float, queue: Queue, postmaster: Address
) -> Conclusion:
    """Say what follows from one attempt that ended at `now`."""
    deadline = deadline_of(entry, queue)
    final = tuple(outcomes) if now < deadline else tuple(map(_given_up, outcomes))
    waits = _waits(final)
    delay_due = waits and must_tell(entry, now, queue)
    if entry.message.envelope.sender is None:
        notices, dropped = _for_postmaster(final, postmaster)
    else:
        notices, dropped = _for_sender(entry, final, delay_due=delay_due), ()
    due = _next_due(entry, now, queue, told=delay_due) if waits else None
    return Conclusion(final, due, notices, delay_due, dropped, deadline)


def put_off(entry: Entry, outcomes: Sequence[Outcome], now: float, queue: Queue) -> Conclusion:
    """Say what follows while nobody can be told: no recipient fails, however old the entry is, and the delay is not
    told either."""
    kept = tuple(map(_kept, outcomes))
    due = _next_due(entry, now, queue, told=False) if _waits(kept) else None
    return Conclusion(kept, due, (), False, (), deadline_of(entry, queue))


def _kept(outcome: Outcome) -> Outcome:
    if outcome.action is Action.FAILED:
        return replace(outcome, action=Action.DELAYED, reply=BROKEN, remote_mta="")
    return outcome


def _waits(outcomes: Sequence[Outcome]) -> bool:
    return any(outcome.action is Action.DELAYED for outcome in outcomes)


def _next_due(entry: Entry, now: float, queue: Queue, *, told: bool) -> float:
    """Give when to try again: by the schedule, or earlier when something is to be told then."""
    telling = next_telling(replace(entry, delay_told=entry.delay_told or told), queue)
    return next_retry(
        entry.born,
        now,
        local=entry.hop.transport != REMOTE_TRANSPORT,
        steps=queue.retry,
        attempts=entry.attempts,
        deadline=telling,
    )


def deadline_of(entry: Entry, queue: Queue) -> float:
    """Give when patience with an entry ends, wall-clock seconds."""
    bounce = entry.message.envelope.sender is None
    return entry.born + (queue.bounce_lifetime if bounce else queue.lifetime)


def must_tell(entry: Entry, now: float, queue: Queue) -> bool:
    """Say whether something is due even without an attempt: a bounce for lack of time, or the delay notice."""
    return now >= next_telling(entry, queue)


def next_telling(entry: Entry, queue: Queue) -> float:
    """Give when something will be due even without an attempt, wall-clock seconds."""
    deadline = deadline_of(entry, queue)
    if queue.delay_notice and not entry.delay_told and entry.message.envelope.sender is not None:
        return min(deadline, entry.born + queue.delay_notice)
    return deadline


def complete(entry: Entry, outcomes: Sequence[Outcome], at: float) -> tuple[Outcome, ...]:
    """Give one outcome for each recipient of an entry, in order; a transport that forgot one is broken."""
    if len(outcomes) == len(entry.recipients):
        pairs = zip(outcomes, entry.recipients, strict=True)
        if all(outcome.recipient == recipient for outcome, recipient in pairs):
            return tuple(outcomes)
    said = {outcome.recipient: outcome for outcome in outcomes}
    return tuple(
        said.get(recipient) or Outcome(recipient, Action.DELAYED, BROKEN, "", at)
        for recipient in entry.recipients
    )


def delayed(entry: Entry, reply: Reply, at: float) -> tuple[Outcome, ...]:
    """Give outcomes for an entry that could not be tried."""
    return tuple(
        Outcome(recipient, Action.DELAYED, reply, "", at) for recipient in entry.recipients
    )


def feedback_of(outcomes: Sequence[Outcome]) -> Feedback:
    """Say what outcomes tell of their destination. Unreachable: every recipient is delayed, and for a reason that
    is not about it: no answer, a broken connection (RFC 3463 §3.5), a server that closes (421)."""
    if all(map(_unreachable, outcomes)):
        return Feedback.UNREACHABLE
    if any(outcome.remote_mta or outcome.action in _SUCCESS for outcome in outcomes):
        return Feedback.ALIVE
    return Feedback.NOTHING


def _unreachable(outcome: Outcome) -> bool:
    reply = outcome.reply
    return outcome.action is Action.DELAYED and (
        reply.code == 421 or reply.enhanced.startswith("4.4.")
    )


def _given_up(outcome: Outcome) -> Outcome:
    """The last attempt has been: what is still delayed has failed. Its transient reply says why (mail.dsn)."""
    return replace(outcome, action=Action.FAILED) if outcome.action is Action.DELAYED else outcome


def _for_sender(
    entry: Entry, outcomes: Sequence[Outcome], *, delay_due: bool
) -> tuple[Notice, ...]:
    sender = entry.message.envelope.sender
    assert sender is not None
    told: dict[Kind, list[Outcome]] = {}
    for outcome in outcomes:
        kind, event = _event(outcome)
        if kind is Kind.DELAY and not delay_due:
            continue
        if outcome.recipient.wants(event) and not outcome.dsn_passed:
            told.setdefault(kind, []).append(outcome)
    return tuple(Notice(kind, Recipient(sender), tuple(said)) for kind, said in told.items())


def _event(outcome: Outcome) -> tuple[Kind, Notify]:
    if outcome.action is Action.FAILED:
        return Kind.FAILURE, Notify.FAILURE
    if outcome.action is Action.DELAYED:
        return Kind.DELAY, Notify.DELAY
    return Kind.SUCCESS, Notify.SUCCESS


def _for_postmaster(
    outcomes: Sequence[Outcome], postmaster: Address
) -> tuple[tuple[Notice, ...], tuple[Outcome, ...]]:
    failed = [outcome for outcome in outcomes if outcome.action is Action.FAILED]
    told = tuple(outcome for outcome in failed if outcome.recipient.wants(Notify.FAILURE))
    dropped = tuple(outcome for outcome in failed if not outcome.recipient.wants(Notify.FAILURE))
    notice = Notice(Kind.DOUBLE, Recipient(postmaster, Notify.NEVER), told)
    return ((notice,) if told else ()), dropped

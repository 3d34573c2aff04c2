"""Where recipients disagree after DATA: SMTP has one reply for all of them (RFC 5321 §4.2.5).

(LMTP has one for each, and needs none of this.)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from notqmail.mail.envelope import Recipient
from notqmail.mail.message import NO_MARKS, Mark
from notqmail.mail.reply import Reply
from notqmail.policy.verdict import Accept, Defer, Quarantine, Refusal, Reject, Verdict

JUNK = "Junk"


class Disagreement(StrEnum):
    """What becomes of a recipient that rejects what others take."""

    QUARANTINE = "quarantine"
    DSN = "dsn"


@dataclass(frozen=True, slots=True)
class Settled:
    """`reply` refuses the message for all; None takes it, with `marks`, without the `dropped`: those are told to
    the sender by DSN, each with its reply."""

    reply: Reply | None = None
    marks: Mapping[Recipient, Mark] = field(default_factory=lambda: NO_MARKS)
    dropped: tuple[tuple[Recipient, Reply], ...] = ()


TAKEN = Settled()


def settle_verdicts(
    verdicts: Mapping[Recipient, Verdict], how: Disagreement = Disagreement.QUARANTINE
) -> Settled:
    """Make one answer of many. All refuse: refused, and only for now if one of them meant only for now. Else
    taken: who rejects is quarantined or dropped, as `how` says; who defers is quarantined in either case,
    because nobody is told of a failure that was to pass."""
    if all(type(verdict) is Accept for verdict in verdicts.values()):
        return TAKEN
    refusals = {who: v for who, v in verdicts.items() if isinstance(v, Defer | Reject)}
    if len(refusals) == len(verdicts):
        return Settled(_mildest(refusals))
    marks = {who: v.mark for who, v in verdicts.items() if isinstance(v, Quarantine)}
    dropped = []
    for who, refusal in refusals.items():
        if how is Disagreement.DSN and isinstance(refusal, Reject):
            dropped.append((who, refusal.reply))
        else:
            marks[who] = Mark(JUNK, str(refusal.reply))
    return Settled(None, marks, tuple(dropped))


def _mildest(refusals: Mapping[Recipient, Refusal]) -> Reply:
    for refusal in refusals.values():
        if isinstance(refusal, Defer):
            return refusal.reply
    return next(iter(refusals.values())).reply

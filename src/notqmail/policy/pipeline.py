"""The pipeline: the stages of one listener, phase by phase, and the merging of what they say.

The hooks of each phase are picked once, at construction, so a phase nobody implements costs nothing. As long as
the hooks answer at once the methods return values; the first hook that must wait turns the rest of its phase into
a coroutine (docs/adr/0002).

Verdicts only get stricter, and a rejection ends its phase: nothing stricter can follow. What connect, HELO and
MAIL have against a client is held until RCPT, so that some recipients can be exempt and the journal knows whom it
concerned. A stage that raises or overruns its budget has said 451 4.3.0; the client never sees why.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, cast

from notqmail.journal import with_reference
from notqmail.mail.envelope import Recipient
from notqmail.mail.errors import SpoolError
from notqmail.mail.hop import Hop
from notqmail.mail.message import Message
from notqmail.policy.engine import FAILED, failed, judge, within
from notqmail.policy.evidence import Evidence
from notqmail.policy.order import Hook, pick_hooks
from notqmail.policy.relay_guard import RelayGuard
from notqmail.policy.run import HeldRun, MessageRun, RcptRun
from notqmail.policy.sink import GuardedSink
from notqmail.policy.stage import BodySink
from notqmail.policy.transaction import Session, Transaction
from notqmail.policy.verdict import Defer, Quarantine, Reject, Verdict, with_reply
from notqmail.ports import Clock

BUDGET: Final = 20.0  # seconds

_log = logging.getLogger("notqmail.policy")


def nobody(txn: Transaction, recipient: Recipient) -> bool:
    """Exempt no recipient from what is held."""
    return False


class Pipeline:
    """The stages of one listener, in order, behind the relay guard.

    `exempt` says whether a recipient is spared what is held; `reference` makes the references that refusals
    carry (None: none); `budget` is how many seconds a hook may wait. Raises ConfigError for an impossible order.
    """

    def __init__(
        self,
        stages: Sequence[object],
        clock: Clock,
        guard: RelayGuard,
        *,
        exempt: Callable[[Transaction, Recipient], bool] = nobody,
        reference: Callable[[], str] | None = None,
        budget: float = BUDGET,
    ) -> None:
        self._hooks = pick_hooks([guard, *stages])
        self._rcpt = self._hooks["on_rcpt"]
        self._monotonic = clock.monotonic
        self._exempt = exempt
        self._reference = reference
        self._budget = budget

    def connect(self, session: Session) -> Awaitable[None] | None:
        """Judge a new connection; what is said against it is held in `session.held`."""
        return self._hold("connect", session)

    def helo(self, session: Session) -> Awaitable[None] | None:
        """Judge a greeting. It replaces the last one, and with it all that was found and held about it."""
        if not self._hooks["on_helo"]:
            return None
        self.forget_helo(session)
        return self._hold("helo", session)

    def forget_helo(self, session: Session) -> None:
        """Drop what was found and held about a greeting that no longer counts."""
        session.evidence = Evidence(session.evidence.parent or session.evidence)
        session.held = [decision for decision in session.held if decision.phase != "helo"]
        session.decisions = [decision for decision in session.decisions if decision.phase != "helo"]

    def mail(self, txn: Transaction) -> Awaitable[None] | None:
        """Judge a reverse-path; what is said against it is held in `txn.held`."""
        return self._hold("mail", txn)

    def rcpt(self, txn: Transaction, recipient: Recipient) -> Verdict | Awaitable[Verdict]:
        """Judge a recipient, and pronounce what was held. On Accept and Quarantine the caller adds it to
        `txn.recipients`; the mark of a Quarantine is in `txn.marks` then."""
        run = RcptRun(txn, recipient, self._monotonic, self._told)
        held = txn.session.held
        if (held or txn.held) and not self._exempt(txn, recipient):
            run.pronounce((*held, *txn.held))
            if run.final:
                return run.outcome()
        return judge(run, self._rcpt, self._budget)

    def body(self, txn: Transaction) -> tuple[BodySink, ...]:
        """Give what wants to see the content as it arrives. The sinks never raise; a failed one is found by
        `message`."""
        sinks = []
        for stage, hook in self._hooks["on_body"]:
            try:
                sink = cast(BodySink | None, hook(txn))
            except Exception:
                failed("body", stage)
                txn.faulty = stage
            else:
                if sink is not None:
                    sinks.append(GuardedSink(sink, stage, txn))
        return tuple(sinks)

    def message(
        self, txn: Transaction, message: Message
    ) -> Mapping[Recipient, Verdict] | Awaitable[Mapping[Recipient, Verdict]]:
        """Judge the whole message for each of `txn.recipients`. Give the result to `settle_verdicts`."""
        run = MessageRun(txn, message, self._monotonic, self._told)
        if txn.faulty:
            run.absorb(txn.faulty, FAILED)
        return judge(run, self._hooks["on_message"], self._budget)

    def queue(self, txn: Transaction, message: Message) -> Message | Awaitable[Message]:
        """Let the stages edit the header. Raises SpoolError (451) when one fails, also from the awaitable."""
        return self._edit(self._hooks["on_queue"], txn, message)

    def relay(self, message: Message, hop: Hop) -> Sequence[Message] | Awaitable[Sequence[Message]]:
        """Give what departs for `hop` in place of `message`. Raises SpoolError when a stage fails."""
        hooks = self._hooks["on_relay"]
        return self._depart(hooks, message, hop) if hooks else (message,)

    def _hold(self, phase: str, subject: Session | Transaction) -> Awaitable[None] | None:
        hooks = self._hooks[f"on_{phase}"]
        if not hooks:
            return None
        return judge(HeldRun(phase, subject, self._monotonic), hooks, self._budget)

    def _told(self, txn: Transaction, recipient: Recipient, verdict: Verdict) -> Verdict:
        if isinstance(verdict, Quarantine):
            txn.marks[recipient] = verdict.mark
        elif self._reference is not None and isinstance(verdict, Defer | Reject):
            txn.ref = txn.ref or self._reference()
            return with_reply(verdict, with_reference(verdict.reply, txn.ref))
        return verdict

    def _edit(
        self, hooks: Sequence[Hook], txn: Transaction, message: Message
    ) -> Message | Awaitable[Message]:
        for at, (stage, hook) in enumerate(hooks):
            try:
                said = hook(txn, message)
            except Exception:
                raise _spoiled("queue", stage) from None
            if not isinstance(said, Message):
                return self._edit_later(hooks[at:], txn, said)
            message = said
        return message

    async def _edit_later(
        self, hooks: Sequence[Hook], txn: Transaction, pending: object
    ) -> Message:
        stage = hooks[0][0]
        try:
            message = cast(Message, await within(self._budget, pending))
        except Exception:
            raise _spoiled("queue", stage) from None
        rest = self._edit(hooks[1:], txn, message)
        return rest if isinstance(rest, Message) else await rest

    async def _depart(self, hooks: Sequence[Hook], message: Message, hop: Hop) -> Sequence[Message]:
        departing: Sequence[Message] = (message,)
        for stage, hook in hooks:
            after: list[Message] = []
            try:
                for each in departing:
                    said = hook(each, hop)
                    if isinstance(said, Awaitable):
                        said = await within(self._budget, said)
                    after += cast(Sequence[Message], said)
            except Exception:
                raise _spoiled("relay", stage) from None
            departing = after
        return departing


def _spoiled(phase: str, stage: str) -> SpoolError:
    failed(phase, stage)
    return SpoolError(f"stage {stage} failed")

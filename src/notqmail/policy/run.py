"""One run through one phase: what is handed to the hooks, and what is made of their answers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Generic, TypeVar

from notqmail.mail.envelope import Recipient
from notqmail.mail.message import Message
from notqmail.policy.evidence import Decision
from notqmail.policy.transaction import Session, Transaction
from notqmail.policy.verdict import (
    ACCEPT,
    Accept,
    Defer,
    Quarantine,
    Reject,
    Verdict,
    strictest,
)

T = TypeVar("T")

Teller = Callable[[Transaction, Recipient, Verdict], Verdict]
"""Makes a verdict on a recipient what the caller is told: marks kept, references given."""

_VERDICTS: Final = frozenset({Accept, Quarantine, Defer, Reject})


def is_answer(said: object) -> bool:
    """Tell an answer from something that must be awaited for one."""
    return type(said) in _VERDICTS or isinstance(said, Mapping)


class Run(ABC, Generic[T]):
    """`final` when nothing that follows can change the outcome."""

    __slots__ = ("args", "began", "decisions", "final", "monotonic", "phase")

    def __init__(
        self,
        phase: str,
        args: tuple[object, ...],
        decisions: list[Decision],
        monotonic: Callable[[], float],
    ) -> None:
        self.phase, self.args, self.decisions, self.monotonic = phase, args, decisions, monotonic
        self.began = monotonic()
        self.final = False

    def restart(self) -> None:
        """Time what follows from now: a stage that waits is timed by itself."""
        self.began = self.monotonic()

    def record(self, stage: str, verdict: Verdict, recipient: str = "") -> Decision | None:
        """Write a verdict down, unless it says nothing."""
        if type(verdict) is Accept and not verdict.rule:
            return None
        spent = self.monotonic() - self.began
        decision = Decision(stage, self.phase, verdict, spent, recipient)
        self.decisions.append(decision)
        return decision

    @abstractmethod
    def absorb(self, stage: str, said: object) -> None:
        """Take a stage's answer; raise TypeError for one that this phase does not understand."""

    @abstractmethod
    def outcome(self) -> T:
        """Give the result, once."""


def _verdict(said: object) -> Verdict:
    if isinstance(said, Accept | Quarantine | Defer | Reject):
        return said
    raise TypeError(f"{type(said).__name__} is no verdict")


class HeldRun(Run[None]):
    """Connect, HELO, MAIL: what is said is kept for RCPT."""

    __slots__ = ("held",)

    def __init__(
        self,
        phase: str,
        subject: Session | Transaction,
        monotonic: Callable[[], float],
    ) -> None:
        super().__init__(phase, (subject,), subject.decisions, monotonic)
        self.held = subject.held

    def absorb(self, stage: str, said: object) -> None:
        verdict = _verdict(said)
        decision = self.record(stage, verdict)
        if decision is not None and type(verdict) is not Accept:
            self.held.append(decision)
        self.final = type(verdict) is Reject

    def outcome(self) -> None:
        return None


class RcptRun(Run[Verdict]):
    """RCPT: one recipient, beginning with what was held."""

    __slots__ = ("recipient", "tell", "txn", "verdict")

    def __init__(
        self,
        txn: Transaction,
        recipient: Recipient,
        monotonic: Callable[[], float],
        tell: Teller,
    ) -> None:
        super().__init__("rcpt", (txn, recipient), txn.decisions, monotonic)
        self.txn, self.recipient, self.tell = txn, recipient, tell
        self.verdict: Verdict = ACCEPT

    def pronounce(self, held: Iterable[Decision]) -> None:
        """Begin with the strictest of what was held."""
        for decision in held:
            if strictest(self.verdict, decision.verdict) is decision.verdict:
                self.absorb(decision.stage, decision.verdict)

    def absorb(self, stage: str, said: object) -> None:
        verdict = _verdict(said)
        self.record(stage, verdict, str(self.recipient.address))
        self.verdict = strictest(self.verdict, verdict)
        self.final = type(self.verdict) is Reject

    def outcome(self) -> Verdict:
        if self.verdict is ACCEPT:
            return ACCEPT
        return self.tell(self.txn, self.recipient, self.verdict)


class MessageRun(Run[Mapping[Recipient, Verdict]]):
    """After the final dot: a verdict for every recipient, no milder than the mark it has."""

    __slots__ = ("tell", "txn", "verdicts")

    def __init__(
        self, txn: Transaction, message: Message, monotonic: Callable[[], float], tell: Teller
    ) -> None:
        super().__init__("message", (txn, message), txn.decisions, monotonic)
        self.txn, self.tell = txn, tell
        self.verdicts: dict[Recipient, Verdict] = dict.fromkeys(txn.recipients, ACCEPT)
        for recipient, mark in txn.marks.items():
            if recipient in self.verdicts:
                self.verdicts[recipient] = Quarantine(mark)

    def absorb(self, stage: str, said: object) -> None:
        if isinstance(said, Mapping):
            answers = {recipient: _verdict(verdict) for recipient, verdict in said.items()}
            for recipient, verdict in answers.items():
                self.record(stage, verdict, str(recipient.address))
        else:
            answers = dict.fromkeys(self.verdicts, _verdict(said))
            self.record(stage, _verdict(said))
        for recipient, verdict in answers.items():
            if recipient in self.verdicts:
                self.verdicts[recipient] = strictest(self.verdicts[recipient], verdict)
        self.final = all(type(verdict) is Reject for verdict in self.verdicts.values())

    def outcome(self) -> Mapping[Recipient, Verdict]:
        return {
            recipient: verdict if verdict is ACCEPT else self.tell(self.txn, recipient, verdict)
            for recipient, verdict in self.verdicts.items()
        }

"""What stages tell each other and the journal: typed findings, and the decisions made on them."""

from dataclasses import dataclass
from typing import TypeVar, cast

from notqmail.mail.reply import Reply
from notqmail.policy.verdict import Defer, Inputs, Reject, Verdict, word

T = TypeVar("T")


class Evidence:
    """Findings by type, each written once. What is not found here is looked for in `parent`: a transaction
    sees its session's findings, and a session greeted anew those of the connection."""

    __slots__ = ("_found", "parent")

    def __init__(self, parent: "Evidence | None" = None) -> None:
        self.parent = parent
        self._found: dict[type, object] = {}

    def add(self, value: object) -> None:
        """Record a finding; raise ValueError when one of its type is there already: evidence is not altered."""
        kind = type(value)
        if kind in self._found:
            raise ValueError(f"evidence {kind.__name__} is already written")
        self._found[kind] = value

    def get(self, kind: type[T]) -> T | None:
        """Give the finding of this very type, or None."""
        layer: Evidence | None = self
        while layer is not None:
            found = layer._found.get(kind)
            if found is not None:
                return cast(T, found)
            layer = layer.parent
        return None


@dataclass(frozen=True, slots=True)
class Decision:
    """One verdict in its place: who said it, when, of whom. `seconds` is what it took; `recipient` is "" when
    it was about all of them."""

    stage: str
    phase: str
    verdict: Verdict
    seconds: float = 0.0
    recipient: str = ""

    @property
    def word(self) -> str:
        return word(self.verdict)

    @property
    def rule(self) -> str:
        return self.verdict.rule

    @property
    def reply(self) -> Reply | None:
        """What a refusal answers, None when it is no refusal."""
        return self.verdict.reply if isinstance(self.verdict, Defer | Reject) else None

    @property
    def inputs(self) -> Inputs:
        return self.verdict.inputs

"""What a stage says. Four verdicts, in growing strictness: accept, quarantine, defer, reject.

Verdicts are merged by `strictest` and so only get stricter: no stage can take back what another has said.
Every verdict names the rule that decided and the inputs it decided on, for the journal (`why`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from notqmail.mail.message import Mark
from notqmail.mail.reply import Reply

Inputs = Mapping[str, str | int | float]
"""What decided, by name. Never a secret, never content: it is kept in the journal and shown."""

NO_INPUTS: Final[Inputs] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Accept:
    """Nothing against it. With a `rule` it is worth recording (an exemption, a list entry that decided)."""

    rule: str = ""
    inputs: Inputs = field(default_factory=lambda: NO_INPUTS, hash=False)


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Take it, but deliver it where `mark` says."""

    mark: Mark
    rule: str = ""
    inputs: Inputs = field(default_factory=lambda: NO_INPUTS, hash=False)


@dataclass(frozen=True, slots=True)
class Defer:
    """Not now: `reply` is a 4xx."""

    reply: Reply
    rule: str = ""
    inputs: Inputs = field(default_factory=lambda: NO_INPUTS, hash=False)


@dataclass(frozen=True, slots=True)
class Reject:
    """No: `reply` is a 5xx."""

    reply: Reply
    rule: str = ""
    inputs: Inputs = field(default_factory=lambda: NO_INPUTS, hash=False)


Verdict = Accept | Quarantine | Defer | Reject
Refusal = Defer | Reject

ACCEPT: Final = Accept()
"""The one to return when there is nothing to say: the pipeline knows it by identity."""

_WORDS: Final[Mapping[type, str]] = {
    Accept: "accept",
    Quarantine: "quarantine",
    Defer: "defer",
    Reject: "reject",
}
_STRICTNESS: Final = {kind: rank for rank, kind in enumerate(_WORDS)}


def word(verdict: Verdict) -> str:
    """Give the verdict's name, as journal and log write it."""
    return _WORDS[type(verdict)]


def strictest(first: Verdict, second: Verdict) -> Verdict:
    """Merge two verdicts. Of equal strictness the first stays: who spoke first is who decided."""
    return second if _STRICTNESS[type(second)] > _STRICTNESS[type(first)] else first


def with_reply(refusal: Refusal, reply: Reply) -> Refusal:
    """The same refusal in other words."""
    return replace(refusal, reply=reply)

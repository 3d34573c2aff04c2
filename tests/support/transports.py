"""A scriptable Transport: it answers what the test says, and remembers what it was asked.

    wire = ScriptedTransport(clock)
    wire.say("bob@example.net", GREYLISTED, ACCEPTED)   # one answer for each attempt, the last one repeated
    wire.say("example.com", UNREACHABLE)                # a whole domain
    wire.seconds["slow.example"] = 30.0                 # virtual seconds an attempt takes
    wire.lanes["example.com"] = "mx.provider.example"   # what the destination really is

`attempts` are the entries in the order they were begun, `most` the highest number of attempts at once by domain
(the name in `lanes` where there is one; "" is all together), `delivered` counts by queue id and recipient.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from notqmail.mail.entry import Entry
from notqmail.mail.envelope import Recipient
from notqmail.mail.hop import Hop
from notqmail.mail.outcome import Action, Outcome
from notqmail.mail.reply import Reply
from notqmail.ports import Clock


@dataclass(frozen=True, slots=True)
class Answer:
    """What becomes of a recipient; `mta` is "" when nobody spoke."""

    action: Action
    reply: Reply
    mta: str = "mx.peer.example"
    dsn_passed: bool = False


ACCEPTED = Answer(Action.RELAYED, Reply(250, "2.0.0", "ok"))
PASSED = Answer(Action.RELAYED, Reply(250, "2.0.0", "ok"), dsn_passed=True)
DELIVERED = Answer(Action.DELIVERED, Reply(250, "2.0.0", "delivered"), mta="")
GREYLISTED = Answer(Action.DELAYED, Reply(450, "4.7.1", "greylisted"))
REFUSED = Answer(Action.FAILED, Reply(550, "5.1.1", "no such user"))
UNREACHABLE = Answer(Action.DELAYED, Reply(451, "4.4.1", "no answer"), mta="")

Script = Callable[[Entry, Recipient], Answer]


@dataclass(slots=True)
class ScriptedTransport:
    """ports.Transport. `script`, when given, decides what `say` says nothing about; else all is ACCEPTED."""

    clock: Clock
    script: Script | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    lanes: dict[str, str] = field(default_factory=dict)
    attempts: list[Entry] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    delivered: Counter[tuple[str, str]] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    now: Counter[str] = field(default_factory=Counter)
    _said: dict[str, list[Answer]] = field(default_factory=dict)
    _asked: Counter[str] = field(default_factory=Counter)

    def say(self, whom: str, *answers: Answer) -> None:
        """Script an address or a domain."""
        self._said[whom] = list(answers)
        self._asked[whom] = 0

    async def deliver(self, entry: Entry) -> Sequence[Outcome]:
        self.attempts.append(entry)
        self.times.append(self.clock.now())
        domain = entry.recipients[0].address.domain
        names = ("", self.lanes.get(domain, domain))
        self.now.update(names)
        for name in names:
            self.most[name] = max(self.most[name], self.now[name])
        try:
            await asyncio.sleep(self.seconds.get(domain, 0.0))
            answers = [self._answer(entry, recipient) for recipient in entry.recipients]
        finally:
            self.now.subtract(names)
        return [self._outcome(entry, *pair) for pair in zip(entry.recipients, answers, strict=True)]

    async def lane(self, hop: Hop) -> str:
        return self.lanes.get(hop.nexthop, hop.nexthop)

    async def close(self) -> None:
        """Nothing is open."""

    def _answer(self, entry: Entry, recipient: Recipient) -> Answer:
        address = recipient.address
        for whom in (str(address), address.domain):
            if said := self._said.get(whom):
                self._asked[whom] += 1
                return said[min(self._asked[whom], len(said)) - 1]
        return self.script(entry, recipient) if self.script is not None else ACCEPTED

    def _outcome(self, entry: Entry, recipient: Recipient, answer: Answer) -> Outcome:
        if answer.action in (Action.DELIVERED, Action.RELAYED):
            self.delivered[entry.id, str(recipient.address)] += 1
        return Outcome(
            recipient, answer.action, answer.reply, answer.mta, self.clock.now(), answer.dsn_passed
        )

"""What was promised against what was found.

A promise is a message answered 250, for one recipient. It is kept when the message is found at that recipient; it may
be found again, once for each kill that came between two copies: the server cannot know whether an attempt that it did
not see the end of has delivered (RFC 1047). A copy without a kill between it and the one before is a fault.
"""

from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple


class Promise(NamedTuple):
    """A message by its queue id, where it has to arrive, and how long it is: half a message keeps no promise."""

    id: str
    recipient: str
    octets: int  # as the client sent it, line ends as on the wire


class Copy(NamedTuple):
    """A delivered message: of which promise, and when it was written (wall clock, seconds)."""

    promise: Promise
    at: float


@dataclass(frozen=True, slots=True)
class Account:
    """What an audit saw. `delivered` are promises kept; `unanswered` are copies of messages whose client saw no 250."""

    promised: int
    delivered: int
    twice: int
    more: int
    unanswered: int
    lost: tuple[Promise, ...]
    unexplained: tuple[Promise, ...]

    @property
    def clean(self) -> bool:
        """Nothing is lost, and every second copy has its kill."""
        return not self.lost and not self.unexplained

    def __add__(self, other: "Account") -> "Account":
        return Account(
            self.promised + other.promised,
            self.delivered + other.delivered,
            self.twice + other.twice,
            self.more + other.more,
            self.unanswered + other.unanswered,
            self.lost + other.lost,
            self.unexplained + other.unexplained,
        )


NOTHING = Account(0, 0, 0, 0, 0, (), ())


@dataclass(slots=True)
class Ledger:
    """Promises as they are made. `forwarded` gives the address that mail for a recipient ends at, where it is another."""

    forwarded: Mapping[str, str] = field(default_factory=dict)
    promises: set[Promise] = field(default_factory=set)
    kills: list[float] = field(default_factory=list)  # when the server was started after each kill
    settled: Account = NOTHING  # of audits whose promises are forgotten
    answered: int = 0  # messages, in all
    reached: set[str] = field(default_factory=set)  # recipients that something was promised to

    def promise(self, id: str, recipients: Iterable[str], octets: int) -> None:
        """Note a message that was answered 250."""
        self.answered += 1
        ends = {self.forwarded.get(recipient, recipient) for recipient in recipients}
        self.promises |= {Promise(id, recipient, octets) for recipient in ends}
        self.reached |= ends

    def audit(self, copies: Sequence[Copy]) -> Account:
        """Compare with every copy that exists."""
        times: defaultdict[Promise, list[float]] = defaultdict(list)
        for copy in copies:
            times[copy.promise].append(copy.at)
        kept = self.promises & times.keys()
        counts = [len(found) for found in times.values()]
        return Account(
            promised=len(self.promises),
            delivered=len(kept),
            twice=counts.count(2),
            more=sum(count > 2 for count in counts),
            unanswered=len(times.keys() - self.promises),
            lost=tuple(sorted(self.promises - kept)),
            unexplained=tuple(sorted(p for p, found in times.items() if self._unexplained(found))),
        )

    def settle(self, account: Account) -> None:
        """Keep the account and forget its promises."""
        self.settled += account
        self.promises.clear()

    def _unexplained(self, times: list[float]) -> bool:
        lives = [bisect(self.kills, at) for at in sorted(times)]
        return any(first == second for first, second in pairwise(lives))

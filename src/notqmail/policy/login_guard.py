"""Who guesses passwords waits longer and longer, and then is not served for a while.

Failures are counted by network (mail/network.client_network), never by account: who tries alice's password from
somewhere else takes nothing from alice. A login that succeeds takes nothing back: else who has one account could
guess at the others for ever, by logging in between. Failures go by themselves, `window` seconds old.

    failure 1 2 3 …       answered after delay, 2 · delay, 4 · delay … at most longest_delay
    failure `failures`    banned for `duration`; the next time twice as long … at most `longest`

What is known of earlier bans is forgotten when one has ended `longest` ago. Windows are measured by the clock that
only runs forward, bans by the one on the wall, because they outlive the process.

A ban by hand is of any network and any length, and does not count against who is remembered; only `exempt` is
stronger. All that is kept is bounded: `networks` with failures, as many with bans, BY_HAND.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import islice
from math import inf
from typing import Final

from notqmail.config import Ban as Rules
from notqmail.log import event
from notqmail.mail.network import Network, Networks, client_network, parse_network, plain_address
from notqmail.ports import Clock

BY_HAND: Final = 10_000  # bans by hand at once
_KEPT: Final = 32  # failures that still make a difference where nothing is banned
_SWEPT: Final = 2  # of what is out of date, forgotten with each failure

_log = logging.getLogger("notqmail.login")


@dataclass(frozen=True, slots=True)
class Ban:
    """A network that may not log in from `since` to `until`, wall-clock seconds; until None is until it is lifted.
    `count` is how many bans in a row this is; 0 by hand."""

    network: Network
    since: float
    until: float | None
    count: int = 0

    def in_force(self, now: float) -> bool:
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class Decision:
    """What a failed login meets: so many seconds before it is answered; then, when banned, the end of the session.
    `banned_until` is wall-clock seconds, infinity for a ban without an end."""

    delay: float
    banned_until: float | None = None


def _nobody_asks() -> None:
    """Nobody keeps the bans."""


class LoginGuard:
    """`changed` is called when there is something new to keep."""

    def __init__(self, rules: Rules, clock: Clock) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, list[float]] = OrderedDict()  # the newest failure last
        self._bans: OrderedDict[str, Ban] = (
            OrderedDict()
        )  # in force, or remembered; the newest last
        self._by_hand: dict[Network, Ban] = {}
        self._shapes: set[tuple[int, type[Network], int]] = set()  # of those networks
        self.changed: Callable[[], None] = _nobody_asks
        self.reload(rules)

    def reload(self, rules: Rules) -> None:
        """Go on by new rules; bans that are in force keep their end."""
        self._rules, self._exempt = rules, Networks(rules.exempt)

    def banned(self, address: str) -> float | None:
        """Say until when this client is not served, None when it is. Ask at connect, and before a password is
        checked: other sessions of its network may have failed meanwhile."""
        if not (self._bans or self._by_hand) or address in self._exempt:
            return None
        now = self._clock.now()
        found = [self._bans.get(client_network(address)), *self._named(address)]
        ends = [_end(ban) for ban in found if ban is not None and ban.in_force(now)]
        return max(ends, default=None)

    def failed(self, address: str) -> Decision:
        """Count a failed login and say what it meets."""
        rules = self._rules
        if (until := self.banned(address)) is not None:
            return Decision(0.0, until)
        key, now = client_network(address), self._clock.monotonic()
        recent = [at for at in self._failures.pop(key, ()) if at > now - rules.window]
        recent.append(now)
        delay = min(rules.delay * 2 ** min(len(recent) - 1, _KEPT), rules.longest_delay)
        if 0 < rules.failures <= len(recent) and address not in self._exempt:
            with suppress(ValueError):  # a key that is no network: there is nobody to ban
                return Decision(delay, self._ban(key, parse_network(key)))
        self._failures[key] = recent[-max(rules.failures, _KEPT) :]
        self._sweep(now)
        return Decision(delay)

    # what people do

    def ban(self, given: Network, seconds: float | None = None) -> Ban:
        """Ban a network by hand, for so many seconds or until it is lifted. Raises ValueError when there are BY_HAND
        such bans."""
        now = self._clock.now()
        others = [b for b in self._by_hand.values() if b.in_force(now) and b.network != given]
        if len(others) >= BY_HAND:
            raise ValueError(
                f"there are {BY_HAND} bans already; lift some, or name larger networks"
            )
        ban = Ban(given, now, None if seconds is None else now + seconds)
        self._set_by_hand([*others, ban])
        self._tell("banned", ban)
        return ban

    def lift(self, given: Network | None = None) -> list[Ban]:
        """End the bans of all networks that overlap with this one, or all; give those that were in force. What is
        remembered of earlier ones is forgotten too."""
        lifted = [ban for ban in self.bans() if _overlap(ban.network, given)]
        for key, ban in list(self._bans.items()):
            if _overlap(ban.network, given):
                del self._bans[key]
        self._set_by_hand(b for b in self._by_hand.values() if not _overlap(b.network, given))
        for ban in lifted:
            self._tell("ban-lifted", ban)
        self.changed()
        return lifted

    def exempts(self, given: Network) -> bool:
        """Say whether a ban of this network would be without effect."""
        return self._exempt.covers(given)

    def bans(self) -> list[Ban]:
        """Give the bans in force, the newest first."""
        now = self._clock.now()
        found = [ban for ban in self.kept() if ban.in_force(now)]
        return sorted(found, key=lambda ban: ban.since, reverse=True)

    # what outlives the process

    def kept(self) -> tuple[Ban, ...]:
        """Give all that is worth keeping: bans in force and those remembered."""
        return (*self._bans.values(), *self._by_hand.values())

    def restore(self, bans: Iterable[Ban]) -> None:
        """Take up what was kept."""
        by_hand = []
        for ban in bans:
            key = client_network(str(ban.network.network_address))
            if ban.count > 0 and parse_network(key) == ban.network:
                self._remember(key, ban)
            else:
                by_hand.append(ban)
        self._set_by_hand(by_hand[:BY_HAND])

    # inside

    def _ban(self, key: str, net: Network) -> float:
        now, rules = self._clock.now(), self._rules
        before = self._bans.pop(key, None)
        count = 1 if before is None or now >= _end(before) + rules.longest else before.count + 1
        until: float = now + min(rules.duration * 2 ** min(count - 1, _KEPT), rules.longest)
        ban = Ban(net, now, until, count)
        self._remember(key, ban)
        self._tell("banned", ban)
        return until

    def _remember(self, key: str, ban: Ban) -> None:
        self._bans[key] = ban
        while len(self._bans) > self._rules.networks:
            self._bans.popitem(last=False)

    def _sweep(self, now: float) -> None:
        """Forget who was idle longest when there are too many, and a few of those whose failures no longer count."""
        while len(self._failures) > self._rules.networks:
            self._failures.popitem(last=False)
        for key, times in list(islice(self._failures.items(), _SWEPT)):
            if times[-1] <= now - self._rules.window:
                del self._failures[key]

    def _named(self, address: str) -> Iterator[Ban | None]:
        """The bans by hand that cover an address: one look-up for each length of prefix there is."""
        if not self._by_hand:
            return
        try:
            ip = ip_address(plain_address(address))
        except ValueError:
            return
        for version, kind, length in self._shapes:
            if version == ip.version:
                yield self._by_hand.get(kind((int(ip), length), strict=False))

    def _set_by_hand(self, bans: Iterable[Ban]) -> None:
        self._by_hand = {ban.network: ban for ban in bans}
        self._shapes = {(net.version, type(net), net.prefixlen) for net in self._by_hand}

    def _tell(self, name: str, ban: Ban) -> None:
        until = "-" if ban.until is None else int(ban.until)
        event(_log, name, network=str(ban.network), until=until, count=ban.count)
        self.changed()


def _end(ban: Ban) -> float:
    return inf if ban.until is None else ban.until


def _overlap(one: Network, other: Network | None) -> bool:
    return other is None or (one.version == other.version and one.overlaps(other))

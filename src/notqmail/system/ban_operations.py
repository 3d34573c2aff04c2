"""What people do with bans: the same operations over the control socket and on the file when no server runs."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from notqmail.mail.network import Network, client_network, parse_network
from notqmail.policy.login_guard import Ban, LoginGuard
from notqmail.queue.operations import OperationError

Arguments = Mapping[str, Any]
Row = dict[str, Any]

SHOWN = 1000  # bans in one answer unless asked otherwise


class BanOperations:
    """`table` has them by name, for the control socket."""

    def __init__(self, guard: LoginGuard) -> None:
        self._guard = guard

    @property
    def table(self) -> Mapping[str, Callable[[Arguments], Awaitable[Any]]]:
        return {"ban_list": self.ban_list, "ban_add": self.ban_add, "ban_lift": self.ban_lift}

    async def ban_list(self, args: Arguments) -> list[Row]:
        """Give the bans in force, the newest first, `limit` at most."""
        limit = args.get("limit", SHOWN)
        if not isinstance(limit, int) or limit < 1:
            raise OperationError("'limit' is not a number above 0")
        return [_row(ban) for ban in self._guard.bans()[:limit]]

    async def ban_add(self, args: Arguments) -> Row:
        """Ban `network`, for `seconds` or until it is lifted. An IPv6 address means its /64."""
        seconds = args.get("seconds")
        if seconds is not None and not (isinstance(seconds, int | float) and seconds > 0):
            raise OperationError("'seconds' is not a number above 0")
        given = _network(args)
        if self._guard.exempts(given):
            raise OperationError(f"{given} is exempt: take it out of auth.ban.exempt first")
        try:
            return _row(self._guard.ban(given, seconds))
        except ValueError as error:
            raise OperationError(str(error)) from None

    async def ban_lift(self, args: Arguments) -> list[Row]:
        """End the bans of all that overlaps with `network`, or `all`; give them."""
        lifted = self._guard.lift(None if args.get("all") is True else _network(args))
        if not lifted:
            raise OperationError("there is no such ban")
        return [_row(ban) for ban in lifted]


def _network(args: Arguments) -> Network:
    text = args.get("network")
    if not isinstance(text, str) or not text:
        raise OperationError("the argument 'network' is missing")
    try:
        return parse_network(text if "/" in text else client_network(text))
    except ValueError:
        raise OperationError(
            f"{text[:50]!r} is no network; write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/64"
        ) from None


def _row(ban: Ban) -> Row:
    return {
        "network": _shown(ban.network),
        "since": ban.since,
        "until": ban.until,
        "count": ban.count,
        "why": "failed logins" if ban.count else "by hand",
    }


def _shown(net: Network) -> str:
    return str(net.network_address if net.prefixlen == net.max_prefixlen else net)

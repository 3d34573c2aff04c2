"""SASL for a server: which mechanisms are offered, and the exchange of each (RFC 4422, RFC 4954).

offered(configured, accounts.mechanisms, bound=…, certified=…)  ──► what EHLO says
begin(mechanism, terms)                                        ──► Exchange, or None: 504 5.5.4
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial

from notqmail.auth.sasl_plain import External, Login, Plain
from notqmail.auth.sasl_step import (
    Challenge,
    Decoy,
    Exchange,
    Failure,
    Reason,
    Step,
    Success,
    Terms,
)
from notqmail.auth.scram import PLUS, Scram

__all__ = [
    "Challenge",
    "Decoy",
    "Exchange",
    "Failure",
    "Reason",
    "Step",
    "Success",
    "Terms",
    "begin",
    "offered",
]

_BEGIN: Mapping[str, Callable[[Terms], Exchange]] = {
    "PLAIN": Plain,
    "LOGIN": Login,
    "EXTERNAL": External,
    **{
        name: partial(Scram, name)
        for base in ("SCRAM-SHA-256", "SCRAM-SHA-1")
        for name in (base, base + PLUS)
    },
}


def offered(
    configured: Iterable[str], served: Collection[str], *, bound: bool, certified: bool
) -> tuple[str, ...]:
    """Give the mechanisms to offer, in the order of the configuration: those that the accounts can serve, -PLUS when
    there is a channel to be `bound` to, EXTERNAL when the client is `certified` by its certificate."""
    return tuple(
        name
        for name in configured
        if name.removesuffix(PLUS) in served
        and (bound or not name.endswith(PLUS))
        and (certified or name != "EXTERNAL")
    )


def begin(mechanism: str, terms: Terms) -> Exchange | None:
    """Begin an exchange; None when the mechanism, in whatever case, was not offered."""
    name = mechanism.upper()
    return _BEGIN[name](terms) if name in terms.offered else None

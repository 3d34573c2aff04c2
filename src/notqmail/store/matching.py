"""A queue filter as a predicate on values; store/listing says the same in SQL."""

from collections.abc import Callable

from notqmail.mail.address import Address
from notqmail.mail.entry import QueueFilter
from notqmail.mail.idn import canonical_domain

Matches = Callable[[Address], bool]


def address_matcher(text: str) -> Matches:
    """Read "@domain" or an address; raise AddressError when it is neither."""
    if text.startswith("@"):
        domain = canonical_domain(text[1:])
        return lambda address: address.domain == domain
    wanted = Address.parse(text)
    return lambda address: address == wanted


class Matcher:
    """A filter made ready. Raises AddressError when it names no address."""

    def __init__(self, which: QueueFilter, now: float) -> None:
        self._id = which.id
        self._null_sender = which.sender == ""
        self._sender = address_matcher(which.sender) if which.sender else None
        self._recipient = address_matcher(which.recipient) if which.recipient else None
        self._domain = canonical_domain(which.domain) if which.domain else ""
        self._born_by = now - which.older if which.older else float("inf")
        self._held = which.held
        self._login = which.login

    def message(self, id: str, sender: Address | None, born: float, login: str = "") -> bool:
        """Say whether a message may match."""
        if self._id not in ("", id) or born > self._born_by or self._login not in ("", login):
            return False
        if self._null_sender:
            return sender is None
        return self._sender is None or (sender is not None and self._sender(sender))

    def recipient(self, address: Address, *, held: bool) -> bool:
        """Say whether a recipient of such a message does."""
        return (
            (self._held is None or self._held == held)
            and (not self._domain or address.domain == self._domain)
            and (self._recipient is None or self._recipient(address))
        )

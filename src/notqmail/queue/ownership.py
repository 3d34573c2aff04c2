"""Whose an address is: a login may send as what leads to its mailbox, and as what the senders file adds.

An address is asked for its owner by the code that routes mail to it, so what somebody receives he may send as: his own
address, its subaddresses, aliases, a catch-all. No index backwards is needed, and none can be out of date.
"""

from notqmail.config import Config
from notqmail.mail.address import Address
from notqmail.mail.errors import AddressError
from notqmail.mail.hop import Hop
from notqmail.mail.idn import canonical_domain
from notqmail.mail.login import Login
from notqmail.ports import Directory
from notqmail.queue.resolution import Kind
from notqmail.queue.route import Router

_SOMEBODYS = (Kind.MAILBOX, Kind.ALIAS)


class Ownership:
    """Call it with a login and an address. A login without an address is the mailbox of its name in the realm, if
    there is one."""

    def __init__(self, router: Router, directory: Directory, config: Config) -> None:
        self._router, self._directory = router, directory
        self._separator = config.addressing.separator
        first = next(iter(config.domains), config.hostname)
        self._realm = canonical_domain(config.auth.realm or first)

    def __call__(self, login: Login, address: Address) -> bool:
        only = login.only_from
        if only is not None and _key(only) != _key(address):
            return False
        own = self._own(login)
        return self._listed(login, own, address) or (own is not None and self._leads(address, own))

    def _own(self, login: Login) -> Address | None:
        if login.address is not None:
            return login.address
        name = login.account
        try:
            address = Address.parse(name if "@" in name else f"{name}@{self._realm}")
        except AddressError:
            return None
        return address if self._directory.mailbox(address.fold, address.domain) else None

    def _listed(self, login: Login, own: Address | None, address: Address) -> bool:
        names = {login.account, str(own or login.account)}
        wanted = {_key(address), ("", address.domain)}
        return any(not wanted.isdisjoint(self._directory.senders(name)) for name in names)

    def _leads(self, address: Address, own: Address) -> bool:
        if _key(address) == _key(own):
            return True
        resolution = self._router.resolve(address)
        mailbox = Hop("local", str(Address(own.fold, own.domain)))
        if any(
            leaf.hop == mailbox or _key(leaf.address) == _key(own) for leaf in resolution.leaves()
        ):
            return True
        # the mailbox may be kept elsewhere (Dovecot's, a system user's) and be unknown to our router
        return resolution.kind not in _SOMEBODYS and self._without_subaddress(address) == _key(own)

    def _without_subaddress(self, address: Address) -> tuple[str, str]:
        return address.fold.partition(self._separator or "\n")[0], address.domain


def _key(address: Address) -> tuple[str, str]:
    return address.fold, address.domain

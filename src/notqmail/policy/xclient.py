"""The session that XCLIENT begins anew, as the client a proxy vouches for (Postfix's XCLIENT_README).

What was said stays until it is said otherwise, so that a proxy may need several commands; but a new address is a new
client, about whom nothing is known yet: no name, no port, no login. HELO and PROTO have no effect: the EHLO that must
follow says both.
"""

from dataclasses import replace

from notqmail.mail.address import Address
from notqmail.mail.errors import AddressError
from notqmail.mail.login import Login
from notqmail.policy.transaction import Peer, Session
from notqmail.smtp.xclient import Xclient

MECHANISM = "XCLIENT"


def assume(session: Session, said: Xclient, direct: Peer, realm: str = "") -> Session:
    """Give the session that takes this one's place, before its greeting. `direct` are the connection's own ends, which
    stand in for an address that is not known; `realm` is the domain of a login without one.

    Only a login that a proxy vouched for is kept: one made by AUTH was the proxy's own, not its client's."""
    return Session(
        id=session.id,
        listener=session.listener,
        kind=session.kind,
        peer=_peer(session.peer, said, direct),
        tls=session.tls,
        login=_login(session.login, said, realm),
        transactions=session.transactions,
    )


def _peer(peer: Peer, said: Xclient, direct: Peer) -> Peer:
    if said.address:
        peer = replace(peer, address=said.address, port=0, name="")
    elif said.address is not None:
        peer = replace(peer, address=direct.address, port=direct.port, name=direct.name)
    if said.local_address is not None:
        local = said.local_address or direct.local_address
        peer = replace(peer, local_address=local, local_port=direct.local_port)
    return replace(
        peer,
        name=peer.name if said.name is None else said.name,
        port=peer.port if said.port is None else said.port,
        local_port=peer.local_port if said.local_port is None else said.local_port,
    )


def _login(login: Login | None, said: Xclient, realm: str) -> Login | None:
    if said.login is not None:
        return _vouched(said.login, realm) if said.login else None
    if said.address is not None or login is None or login.mechanism != MECHANISM:
        return None
    return login


def _vouched(account: str, realm: str) -> Login:
    named = account if "@" in account or not realm else f"{account}@{realm}"
    try:
        address = Address.parse(named)
    except AddressError:
        return Login(account, mechanism=MECHANISM)
    return Login(account, address if address.domain else None, MECHANISM)

"""What lies between the wire and the sessions of a listener, as the configuration says: TLS, proxies, logins."""

import secrets
from dataclasses import dataclass

from notqmail.auth.sasl import Decoy
from notqmail.config import SUBMISSION, Config, Listen
from notqmail.mail.idn import canonical_domain
from notqmail.mail.network import Networks
from notqmail.policy.login_guard import LoginGuard
from notqmail.ports import Authenticator, Clock
from notqmail.smtpd.channel import ServerTls
from notqmail.smtpd.login import Logins
from notqmail.smtpd.service import Doors


def make_doors(listen: Listen, config: Config, tls: ServerTls | None) -> Doors:
    """Give the doors of one listener. `tls` None: there is no certificate."""
    offered = tls if listen.tls or listen.kind in SUBMISSION else None
    return Doors(
        tls=offered,
        implicit=listen.kind == "submissions",
        handshakes=config.tls.handshakes,
        handshake_timeout=config.tls.handshake_timeout,
        proxy=Networks(listen.proxy),
        proxy_timeout=listen.proxy_timeout,
        xclient=Networks(listen.xclient),
    )


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """What all doors for our own people share. `secret` makes the salts of names that nobody has."""

    accounts: Authenticator
    guard: LoginGuard
    secret: bytes

    def logins(self, listen: Listen, config: Config, clock: Clock) -> Logins | None:
        """Give what logging in at a listener is made of; None where nobody logs in."""
        if listen.kind not in SUBMISSION:
            return None
        return Logins(
            accounts=self.accounts,
            mechanisms=config.auth.mechanisms,
            attempts=config.auth.attempts,
            guard=self.guard,
            decoy=Decoy(self.secret),
            nonce=_nonce,
            clock=clock,
            realm=realm(config),
        )


def realm(config: Config) -> str:
    """Give the domain of a name without one, as A-label; "" when there is none."""
    if config.auth.realm:
        return canonical_domain(config.auth.realm)
    return next(iter(config.domains), "")


def _nonce() -> str:
    return secrets.token_urlsafe(18)

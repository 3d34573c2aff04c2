"""The server and its neighbours: a Postfix, a host that greylists, one that is dead, and the DNS that knows them."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import postfix
from tests.support.dns import Zones
from tests.support.dns_thread import dns_serving
from tests.support.places import open_directory
from tests.support.postfix import Postfix
from tests.support.server import DOMAIN, Server, prepared

GREY, DEAD = "127.0.0.3", "127.0.0.9"  # Postfix's port is everybody's; on DEAD nobody listens
MANY = tuple(f"m{n}" for n in range(1, 21))
ALIASES = {
    "away": "bob@postfix.test",
    "gone": "nobody@postfix.test",
    "grey": "someone@grey.test",
    "dead": "someone@dead.test",
}
JOURNAL = 4 << 20  # octets of the journal at most
ZONES = Zones(
    {
        "postfix.test": {"MX": "10 mx.postfix.test"},
        "mx.postfix.test": {"A": postfix.HOST},
        "grey.test": {"MX": "10 mx.grey.test"},
        "mx.grey.test": {"A": GREY},
        "dead.test": {"MX": "10 mx.dead.test"},
        "mx.dead.test": {"A": DEAD},
    }
)


@dataclass(frozen=True, slots=True)
class World:
    """Everybody runs, but for the host that greylists, which is the caller's. `mailboxes`: new/ of each, by name."""

    server: Server
    postfix: Postfix
    lifetime: int  # seconds that mail for the dead is tried

    @property
    def mailboxes(self) -> Mapping[str, Path]:
        ours = {user: self.server.maildir(user) / "new" for user in ("alice", *MANY)}
        return {**ours, "bob": self.postfix.maildir("bob") / "new"}


@contextmanager
def neighbours(lifetime: int) -> Iterator[World]:
    """Start them all; at the end of the block all are stopped. Skips (pytest) where Postfix cannot be run."""
    with ExitStack() as stack:
        directory = stack.enter_context(open_directory(Path("/var/tmp")))
        ours = prepared(directory / "server", users=("alice", *MANY))
        stack.callback(ours.close)
        relays = {DOMAIN: ours.port}
        peer = stack.enter_context(
            postfix.running(users=("bob",), relays=relays, below=directory, maillog_file="")
        )
        nameserver = stack.enter_context(dns_serving(ZONES))
        ours.configure(
            {
                "log.level": "warning",
                "dns.servers": [nameserver],
                "outbound.port": peer.port,
                "queue.retry": ["2s", "4s", "8s"],
                "queue.lifetime": f"{lifetime}s",
                "queue.bounce_lifetime": f"{lifetime}s",
                "queue.delay_notice": "0s",
                "journal.size": f"{JOURNAL >> 20}MB",
            }
        )
        for alias, target in ALIASES.items():
            added = ours.command("alias", "add", f"{alias}@{DOMAIN}", target)
            assert added.status == 0, added.output
        ours.start()
        yield World(ours, peer, lifetime)

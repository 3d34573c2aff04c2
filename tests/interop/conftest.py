"""Two mail servers that know each other: ours is example.org, a private Postfix is postfix.test.

Each finds the other as in real life: we ask DNS for an MX, Postfix has a transport map (its DNS client cannot be
pointed at a test server). The only thing that is not as in real life is the ports.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support import postfix
from tests.support.dns import Zones
from tests.support.dns_thread import dns_serving
from tests.support.places import open_directory
from tests.support.postfix import Postfix
from tests.support.server import DOMAIN, Server, prepared

USERS = ("alice", "дима")
ZONES = Zones(
    {
        "postfix.test": {"MX": ["10 down.postfix.test", "20 mx.postfix.test"]},
        "mx.postfix.test": {"A": postfix.HOST},
        "down.postfix.test": {"A": "127.0.0.9"},  # nobody listens there: the next MX is tried
        "nomail.test": {"MX": "0 ."},
    }
)


@dataclass(frozen=True, slots=True)
class Pair:
    ours: Server
    postfix: Postfix


@pytest.fixture(scope="session")
def pair() -> Iterator[Pair]:
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(open_directory())
        ours = prepared(directory / "server", users=USERS)
        relays = {DOMAIN: ours.port}
        peer = stack.enter_context(postfix.running(users=("bob", "дмитрий"), relays=relays))
        nameserver = stack.enter_context(dns_serving(ZONES))
        ours.configure({"dns.servers": [nameserver], "outbound.port": peer.port})
        stack.callback(ours.close)
        ours.command("alias", "add", f"forwarded@{DOMAIN}", "bob@postfix.test")
        ours.start()
        yield Pair(ours, peer)

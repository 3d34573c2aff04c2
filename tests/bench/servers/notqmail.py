"""This server, as its development profile has it, with the limits raised that would hold it back."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import notqmail
from tests.bench.peer import ABROAD, Endpoint, Failed, Setup
from tests.bench.processes import processes
from tests.bench.servers.supported import RunningSupported
from tests.support.server import DOMAIN, prepared

_LACKS = {"W7": "no SPF, DKIM and DMARC yet"}
_BEYOND = "x@beyond.test"


@dataclass(frozen=True, slots=True)
class Notqmail:
    """See peer.Peer."""

    name: str = "notqmail"
    notes: str = (
        "durable: fsync before 250 and at delivery; recipient validation, Received and journal on; log at level info "
        "into a pipe that is read; destination concurrency 100, no limit on messages per session; it relays for nobody "
        "who has not logged in, so mail that leaves is forwarded by a catch-all alias, one more look-up per message"
    )

    def version(self) -> str:
        """See peer.Peer."""
        return notqmail.__version__

    def lacks(self, workload: str) -> str:
        """See peer.Peer."""
        return _LACKS.get(workload, "")

    @contextmanager
    def running(self, setup: Setup) -> Iterator[RunningSupported]:
        """See peer.Peer."""
        with processes() as group:
            server = prepared(
                setup.directory / "notqmail", users=setup.users, settings=_settings(setup)
            )
            server.program = group.command(server.program)
            with (server.directory / "aliases").open("a") as aliases:
                aliases.write(f"@{ABROAD}: {_BEYOND}\n")
            try:
                address = Endpoint("127.0.0.1", server.port)
                server.start()
                group.wait_greeting(address)
                yield RunningSupported(server, group, address, DOMAIN)
            except AssertionError as error:
                raise Failed(str(error)) from error
            finally:
                server.close()


def _settings(setup: Setup) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "listen.0.limits.messages": 1_000_000,
        "queue.destination_concurrency": 100,
        "domain": [{"name": DOMAIN}, {"name": ABROAD}],
    }
    if setup.relay is not None:
        settings["outbound.smarthost"] = str(setup.relay)
    if setup.certificate is not None:
        pair = {"chain": str(setup.certificate.chain), "key": str(setup.certificate.key)}
        settings["tls.certificate"] = [pair]
    return settings


PEER = Notqmail()

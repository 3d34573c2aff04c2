"""What lays the work on measured servers, tried with a few messages."""

import pytest

from tests.bench import idle, tls_client
from tests.bench.peer import Endpoint
from tests.bench.tls_client import Load
from tests.bench.workloads.w4 import certificate
from tests.bench.workloads.w5 import transaction
from tests.support import postfix
from tests.support.places import open_directory
from tests.support.server import serving
from tests.support.waiting import wait_until

pytestmark = pytest.mark.interop


def nothing_wrong() -> str:
    return ""


def test_postfix_gets_every_message_over_tls_from_many_sessions() -> None:
    with open_directory() as directory:
        pair = certificate(directory / "tls")
        with postfix.running(
            smtpd_tls_security_level="may",
            smtpd_tls_chain_files=f"{pair.key} {pair.chain}",
            smtpd_tls_received_header="yes",
        ) as server:
            load = Load(3, 20, 4096, "bench@sender.example", f"bob@{postfix.DOMAIN}")

            sent = tls_client.send(load, Endpoint(server.host, server.port), 60)

            wait_until(lambda: len(server.messages("bob")) == 20, 30, lambda: server.log[-2000:])
            assert sent.messages == 20
            assert sent.cpu > 0
            assert all(b"using TLSv1.3" in message for message in server.messages("bob"))


def test_a_message_is_served_beside_idle_connections_from_many_addresses() -> None:
    with serving() as server:
        to = Endpoint("127.0.0.1", server.port)

        with idle.held(to, 90, nothing_wrong) as held:
            seconds = transaction(to, "alice@example.org", 20)

        assert held.count == 90
        assert not held.ended
        assert 0 < seconds < 20
        server.wait_mail("alice", 1)

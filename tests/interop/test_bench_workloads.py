"""What lays the work on measured servers, tried with a few messages."""

import json
import os
import subprocess
import sys

import pytest

from tests.bench import idle, tls_client
from tests.bench.companions import companion
from tests.bench.peer import Endpoint, Unavailable
from tests.bench.tls_client import Load
from tests.bench.workloads.w4 import certificate
from tests.bench.workloads.w5 import transaction
from tests.support import postfix
from tests.support.places import open_directory
from tests.support.programs import ROOT, postfix_program
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
            assert held.count() == 90

        assert not held.ended
        assert 0 < seconds < 20
        server.wait_mail("alice", 1)


# in a process of its own, because a mount namespace is entered for good
_EVERYTHING_ON = """
import json, sys
from pathlib import Path
from tests.bench import names
from tests.bench.servers import server
from tests.bench.workloads import workload
names.enter_namespace()
directory = Path(sys.argv[1])
work = workload("W7", 3)
work.warm = 2
with names.answering(directory):
    (directory / "run").mkdir()
    with server("postfix").running(work.setup(directory / "run")) as running:
        print(json.dumps(dict(work.measure(running).more)))
"""


def test_postfix_with_its_companions_passes_authentic_mail_and_signs_what_leaves() -> None:
    postfix_program("master")
    if os.geteuid() != 0:
        pytest.skip("Postfix can only be started by root")
    try:
        companion("usr/sbin/opendmarc")
    except Unavailable as reason:
        pytest.skip(str(reason))

    with open_directory() as directory:
        ran = subprocess.run(
            [sys.executable, "-c", _EVERYTHING_ON, str(directory)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    if "unshare: " in ran.stderr:
        pytest.skip("a mount namespace of its own is refused here")
    assert ran.returncode == 0, ran.stderr  # W7 itself looks at the messages
    assert json.loads(ran.stdout)["out, messages/s"] > 0

"""Postfix, with the limits raised that would hold it back on loopback."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.bench.companions import Companions
from tests.bench.peer import Checks, Endpoint, Failed, Setup, Unavailable
from tests.bench.processes import Processes, processes
from tests.bench.servers.supported import RunningSupported
from tests.support import postfix
from tests.support.postfix import DOMAIN, Postfix
from tests.support.programs import postfix_program, run
from tests.support.waiting import free_port

_SETTINGS = {
    "maillog_file": "",
    "default_process_limit": "200",
    "smtpd_client_connection_count_limit": "0",
    "smtpd_client_connection_rate_limit": "0",
    "smtpd_client_message_rate_limit": "0",
    "in_flow_delay": "0",
    "default_destination_concurrency_limit": "100",
    "virtual_destination_concurrency_limit": "20",
    "minimal_backoff_time": "300s",  # these two as Postfix has them, which tests do not
    "queue_run_delay": "300s",
}


@dataclass(frozen=True, slots=True)
class CheckingPostfix(RunningSupported):
    """With its companions; see peer.Submitting."""

    submission: Endpoint


@dataclass(frozen=True, slots=True)
class PostfixPeer:
    """See peer.Peer."""

    name: str = "Postfix"
    notes: str = (
        "durable, as it is by default; default_process_limit 200, no limits per client, in_flow_delay 0, destination "
        "concurrency 100 (local 20); no log is written; no look-up of the client's name; in W5 as many processes as "
        "connections, smtpd_timeout 3600s; in W7 OpenDKIM and OpenDMARC as milters, policyd-spf as policy service"
    )

    def version(self) -> str:
        """See peer.Peer."""
        try:
            program = postfix_program("postconf")
        except pytest.skip.Exception as reason:
            raise Unavailable(str(reason)) from None
        return run([program, "-d", "-h", "mail_version"]).output.split()[-1]

    def lacks(self, workload: str) -> str:
        """See peer.Peer."""
        return ""

    @contextmanager
    def running(self, setup: Setup) -> Iterator[RunningSupported]:
        """See peer.Peer."""
        if os.geteuid() != 0:
            raise Unavailable("Postfix can only be started by root: run this as root")
        root = setup.directory / "postfix"
        root.mkdir(mode=0o755)
        with processes() as group:
            port = free_port(postfix.HOST)
            server = Postfix(root, port, setup.users, {}, _settings(setup), group.command([]))
            try:
                running = _accompanied(server, group, setup.checks)
                server.start()
                yield running
            except AssertionError as error:
                raise Failed(str(error)) from error
            except pytest.skip.Exception as reason:
                raise Unavailable(str(reason)) from None
            finally:
                server.stop()


def _accompanied(server: Postfix, group: Processes, checks: Checks | None) -> RunningSupported:
    """Start what is to stand beside it."""
    address = Endpoint(server.host, server.port)
    if checks is None:
        return RunningSupported(server, group, address, DOMAIN)
    submission = Endpoint(postfix.HOST, free_port(postfix.HOST))
    hostname = f"mx.{DOMAIN}"
    beside = Companions(server.root / "companions", hostname, DOMAIN, checks, submission)
    beside.start(group)
    server.settings = {**server.settings, **beside.settings}
    server.services = beside.services
    return CheckingPostfix(server, group, address, DOMAIN, submission)


def _settings(setup: Setup) -> dict[str, str]:
    settings = dict(_SETTINGS)
    if setup.connections:
        settings["default_process_limit"] = str(setup.connections + 200)
        settings["smtpd_timeout"] = "3600s"  # to open thousands may take longer than its 300
    if setup.relay is not None:
        settings["relayhost"] = f"[{setup.relay.host}]:{setup.relay.port}"
    if setup.certificate is not None:
        settings |= {
            "smtpd_tls_security_level": "may",
            "smtpd_tls_chain_files": f"{setup.certificate.key}, {setup.certificate.chain}",
        }
    return settings


PEER = PostfixPeer()

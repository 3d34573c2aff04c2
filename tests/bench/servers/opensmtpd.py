"""OpenSMTPD as Debian builds it, with a configuration of a few lines."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.bench import daemon
from tests.bench.installed import Account, Installed, version
from tests.bench.peer import Endpoint, Setup
from tests.support.waiting import free_port

DOMAIN = "opensmtpd.test"
HOST = "127.0.0.6"
_ACCOUNTS = ("opensmtpd", "opensmtpq")  # compiled in
_CONFIGURATION = """\
smtp limit max-mails 1000000
table boxes file:/etc/mailboxes
listen on {address.host} port {address.port} hostname mx.{domain}
action "inbox" maildir "{mail}/%{{user.username}}" userbase <boxes>
match from any for domain "{domain}" action "inbox"
{relay}
"""
_RELAY = """\
action "onward" relay host "smtp+notls://{0}"
match from src 127.0.0.0/8 for any action "onward"
"""


@dataclass(frozen=True, slots=True)
class Narrow(daemon.Daemon):
    """See peer.Narrow."""

    @property
    def most_sessions(self) -> int:
        return 4  # its listen backlog of 5 is compiled in


_LACKS = {
    # seen in its log: "missing private key", with RSA and with P-256, TLS 1.2 and 1.3
    "W4": "its TLS fails with OpenSSL 3",
    "W7": "SPF, DKIM and DMARC are compared with Postfix alone",
}


class OpenSMTPD:
    """See peer.Peer."""

    name = "OpenSMTPD"
    notes = (
        "its queue is never fsynced, the Maildir is: not durable by default; smtp limit max-mails 1000000; "
        "4 sessions at most, because its listen backlog of 5 is compiled in"
    )

    def version(self) -> str:
        """See peer.Peer."""
        return version("opensmtpd")

    def lacks(self, workload: str) -> str:
        """See peer.Peer."""
        return _LACKS.get(workload, "")

    @contextmanager
    def running(self, setup: Setup) -> Iterator[Narrow]:
        """See peer.Peer."""
        address, mail = Endpoint(HOST, free_port(HOST)), setup.directory / "mail"
        installed = Installed("opensmtpd", setup.directory, [Account(name) for name in _ACCOUNTS])
        configuration = _CONFIGURATION.format(
            domain=DOMAIN,
            address=address,
            mail=mail,
            relay=_RELAY.format(setup.relay) if setup.relay else "",
        )
        nobody = pwd.getpwnam("nobody")
        boxes = (f"{user} {nobody.pw_uid}:{nobody.pw_gid}:{mail}\n" for user in setup.users)
        installed.write({"smtpd.conf": configuration, "mailboxes": "".join(boxes)})
        mail.mkdir()
        os.chown(mail, nobody.pw_uid, nobody.pw_gid)
        plan = daemon.Plan(
            self.name,
            address,
            DOMAIN,
            mail,
            installed.command("/usr/sbin/smtpd", "-F"),
            setup.directory / "output",
        )
        with daemon.running(plan, Narrow) as server:
            yield server


PEER = OpenSMTPD()

"""chasquid as Debian builds it. It delivers through a program: OpenSMTPD's, which writes a Maildir and fsyncs."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme

from tests.bench import daemon, names
from tests.bench.installed import unpacked, version
from tests.bench.peer import ABROAD, Endpoint, Setup
from tests.support.waiting import free_port

DOMAIN = "chasquid.test"
HOST = "127.0.0.7"
_WRITER = "usr/libexec/opensmtpd/mail.maildir"
_ONWARD = f"onward.{ABROAD}"
_CONFIGURATION = """\
hostname: "mx.{domain}"
smtp_address: "{address}"
submission_address: "{unused[0]}"
submission_over_tls_address: "{unused[1]}"
data_dir: "{root}/data"
mail_log_path: "<stdout>"
mail_delivery_agent_bin: "{writer}"
mail_delivery_agent_args: "{mail}/%to_user%"
"""

_FULL = "its queue holds 200 messages and it refuses the next"
_LACKS = {
    "W6": _FULL,
    "W6-200k": _FULL,
    "W7": "SPF, DKIM and DMARC are compared with Postfix alone",
}


class Chasquid:
    """See peer.Peer."""

    name = "chasquid"
    notes = (
        "its queue is never fsynced: not durable by default; delivers through a program for each message, OpenSMTPD's "
        "mail.maildir, which fsyncs; it relays by a catch-all alias, because it relays for nobody without "
        "authentication, to the port of its testing flag"
    )

    def version(self) -> str:
        """See peer.Peer."""
        unpacked("opensmtpd", _WRITER)
        return version("chasquid")

    def lacks(self, workload: str) -> str:
        """See peer.Peer."""
        return _LACKS.get(workload, "")

    @contextmanager
    def running(self, setup: Setup) -> Iterator[daemon.Daemon]:
        """See peer.Peer."""
        root, mail = setup.directory / "chasquid", setup.directory / "chasquid/mail"
        address = Endpoint(HOST, free_port(HOST))
        _write(root, mail, address, setup)
        command = [str(root / "bin/chasquid"), "-config_dir", str(root)]
        if setup.relay is not None:
            command += ["-testing__outgoing_smtp_port", str(setup.relay.port)]
        user = ""
        if os.geteuid() == 0:  # the writer will not be run by root
            user = "nobody"
            subprocess.run(["chown", "-R", user, str(root)], check=True)
        output = setup.directory / "output"
        plan = daemon.Plan(self.name, address, DOMAIN, mail, command, output, user=user)
        with daemon.running(plan, daemon.Daemon) as server:
            yield server


def _write(root: Path, mail: Path, address: Endpoint, setup: Setup) -> None:
    """Its directory, with all it needs so that it may run as anybody, and the names that its relaying needs."""
    own, certificate = root / "domains" / DOMAIN, root / "certs" / "mx"
    for directory in (own, certificate, root / "bin", mail):
        directory.mkdir(parents=True)
    shutil.copy(unpacked("chasquid", "usr/bin/chasquid"), root / "bin")
    shutil.copy(unpacked("opensmtpd", _WRITER), root / "bin")
    configuration = _CONFIGURATION.format(
        domain=DOMAIN,
        address=address,
        unused=[Endpoint(HOST, free_port(HOST)) for _ in range(2)],
        root=root,
        writer=root / "bin/mail.maildir",
        mail=mail,
    )
    (root / "chasquid.conf").write_text(configuration)
    # nobody logs in: a user without a password will do
    users = (f'users: {{ key: "{user}" value: {{ }} }}\n' for user in setup.users)
    (own / "users").write_text("".join(users))
    _certify(certificate, setup)
    if setup.relay is not None:
        abroad = root / "domains" / ABROAD
        abroad.mkdir()
        (abroad / "aliases").write_text(f"*: sink@{_ONWARD}\n")
        names.ZONES.update({_ONWARD: {"MX": f"10 {_ONWARD}", "A": setup.relay.host}})


def _certify(directory: Path, setup: Setup) -> None:
    """It does not start without a certificate."""
    chain, key = directory / "fullchain.pem", directory / "privkey.pem"
    if setup.certificate is not None:
        shutil.copy(setup.certificate.chain, chain)
        shutil.copy(setup.certificate.key, key)
        return
    made = trustme.CA().issue_cert(f"mx.{DOMAIN}")
    made.private_key_pem.write_to_path(key)
    made.cert_chain_pems[0].write_to_path(chain)


PEER = Chasquid()

"""Exim as Debian builds it, with a configuration of a few lines."""

import os
import pwd
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench import daemon
from tests.bench.installed import Account, Installed, version
from tests.bench.peer import Endpoint, Setup
from tests.support.waiting import free_port

DOMAIN = "exim.test"
HOST = "127.0.0.5"
_ACCOUNT = "Debian-exim"  # compiled in
_MAIN = """\
primary_hostname = mx.{domain}
spool_directory = /var/spool/exim
log_file_path = /var/spool/exim/log/%slog
local_interfaces = {address.host}
daemon_smtp_ports = {address.port}
acl_smtp_rcpt = recipient
keep_environment =
host_lookup =
rfc1413_hosts =

# limits that would be measured in place of the server
queue_only = false
message_size_limit = 0
smtp_accept_max = 0
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
smtp_connect_backlog = 4096

{tls}
begin acl
recipient:
  require verify = recipient
  accept hosts = 127.0.0.0/8
  accept domains = {domain}

begin routers
local:
  driver = accept
  domains = {domain}
  local_parts = {users}
  transport = maildir
  no_more
{relay}
begin transports
maildir:
  driver = appendfile
  directory = {mail}/$local_part_data
  maildir_format
  user = nobody
smtp:
  driver = smtp

begin retry
* * F,2h,15m; G,16h,1h,1.5; F,4d,6h
"""
_TLS = """\
tls_advertise_hosts = *
tls_certificate = {chain}
tls_privatekey = {key}
"""
_RELAY = """\
relay:
  driver = manualroute
  domains = ! {domain}
  route_list = * {relay.host}::{relay.port}
  self = send
  transport = smtp
"""

_LACKS = {"W7": "SPF, DKIM and DMARC are compared with Postfix alone"}


class Exim:
    """See peer.Peer."""

    name = "Exim"
    notes = (
        "queue and Maildir fsynced (its default); queue_only off, smtp_accept_max 0, no limit of messages per "
        "connection or queueing because of it, listen backlog 4096"
    )

    def version(self) -> str:
        """See peer.Peer."""
        return version("exim")

    def lacks(self, workload: str) -> str:
        """See peer.Peer."""
        return _LACKS.get(workload, "")

    @contextmanager
    def running(self, setup: Setup) -> Iterator[daemon.Daemon]:
        """See peer.Peer."""
        address, mail = Endpoint(HOST, free_port(HOST)), setup.directory / "mail"
        installed = Installed("exim", setup.directory, [Account(_ACCOUNT)])
        key = setup.directory / "key.pem"  # a copy that its account may read
        configuration = _MAIN.format(
            domain=DOMAIN,
            address=address,
            users=" : ".join(setup.users),
            mail=mail,
            tls=_TLS.format(chain=setup.certificate.chain, key=key)
            if setup.certificate
            else "tls_advertise_hosts =\n",
            relay=_RELAY.format(domain=DOMAIN, relay=setup.relay) if setup.relay else "",
        )
        installed.write({"exim4/exim4.conf": configuration})
        own = installed.number(_ACCOUNT)
        for directory in (installed.spool / "exim", installed.spool / "exim/log"):
            directory.mkdir()
            os.chown(directory, own, own)
        if setup.certificate:
            shutil.copy(setup.certificate.key, key)
            os.chown(key, own, own)
        mail.mkdir()
        nobody = pwd.getpwnam("nobody")
        os.chown(mail, nobody.pw_uid, nobody.pw_gid)
        command = installed.command("/usr/sbin/exim4", "-bdf", "-q30m")
        output = setup.directory / "output"
        plan = daemon.Plan(self.name, address, DOMAIN, mail, command, output)
        with daemon.running(plan, daemon.Daemon) as server:
            yield server


PEER = Exim()

"""Haraka from npm, one process. It has no Maildirs: a small plugin writes them (tests/bench/haraka/maildir.js)."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import daemon
from tests.bench.installed import unpacked
from tests.bench.peer import Endpoint, Setup, Unavailable
from tests.support.waiting import free_port

DOMAIN = "haraka.test"
HOST = "127.0.0.8"
_OURS = Path(__file__).parents[1] / "haraka"

_LACKS = {"W7": "SPF, DKIM and DMARC are compared with Postfix alone"}


class Haraka:
    """See peer.Peer."""

    name = "Haraka"
    notes = (
        "one process; its queue is fsynced, as it is by default, and so are the Maildirs, which a plugin of 60 lines "
        "writes; local messages do not pass its queue: they are in the Maildir before it answers"
    )

    def version(self) -> str:
        """See peer.Peer."""
        _node()
        package = unpacked("haraka", "node_modules/Haraka/package.json")
        return str(json.loads(package.read_text())["version"])

    def lacks(self, workload: str) -> str:
        """See peer.Peer."""
        return _LACKS.get(workload, "")

    @contextmanager
    def running(self, setup: Setup) -> Iterator[daemon.Daemon]:
        """See peer.Peer."""
        program = unpacked("haraka", "node_modules/Haraka/bin/haraka")
        root, mail = setup.directory / "haraka", setup.directory / "mail"
        address = Endpoint(HOST, free_port(HOST))
        _write(root, mail, address, setup)
        command = [_node(), str(program), "--configs", str(root)]
        output = setup.directory / "output"
        plan = daemon.Plan(self.name, address, DOMAIN, mail, command, output)
        with daemon.running(plan, daemon.Daemon) as server:
            yield server


def _node() -> str:
    program = shutil.which("node")
    if program is None:
        raise Unavailable("Haraka needs Node.js: install it")
    return program


def _write(root: Path, mail: Path, address: Endpoint, setup: Setup) -> None:
    """Its directory, as `haraka --install` would make it."""
    for directory in (root / "plugins", root / "config", mail):
        directory.mkdir(parents=True)
    shutil.copy(_OURS / "maildir.js", root / "plugins")
    for name in ("connection.ini", "log.ini"):
        shutil.copy(unpacked("haraka", "node_modules/Haraka/config") / name, root / "config")
    relay = setup.relay and {"exchange": setup.relay.host, "port": setup.relay.port}
    place = {"domain": DOMAIN, "users": setup.users, "mail": str(mail), "relay": relay}
    files = {
        "measured.json": json.dumps(place),
        "me": f"mx.{DOMAIN}\n",
        "plugins": "tls\nmaildir\n" if setup.certificate else "maildir\n",
        "smtp.ini": f"listen={address}\nnodes=0\n",
    }
    for name, text in files.items():
        (root / "config" / name).write_text(text)
    if setup.certificate is not None:
        shutil.copy(setup.certificate.chain, root / "config/tls_cert.pem")
        shutil.copy(setup.certificate.key, root / "config/tls_key.pem")
        # it would spend half a minute of CPU on making some (these: RFC 7919's ffdhe2048)
        shutil.copy(_OURS / "dhparams.pem", root / "config")


PEER = Haraka()

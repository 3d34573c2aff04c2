"""Started as root, the server is an ordinary user from before the first octet arrives, and everything still works."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.places import open_directory
from tests.support.programs import ROOT
from tests.support.server import DOMAIN, Server, prepared
from tests.support.smtp_client import SmtpClient

pytestmark = pytest.mark.root
USER = "nobody"
# what a server has no use for: leave it out of the copy
DEVELOPMENT = (
    "pip*",
    "setuptools*",
    "*mypy*",
    "ruff*",
    "hypothesis*",
    "virtualenv*",
    "apsw*",
    "pygments*",
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    python = _python_for_everybody()
    with open_directory() as directory:
        # an installation that every user can read, wherever this checkout is
        packages = directory / "packages"
        shutil.copytree(
            sysconfig.get_path("purelib"), packages, ignore=shutil.ignore_patterns(*DEVELOPMENT)
        )
        shutil.copytree(ROOT / "src" / "notqmail", packages / "notqmail")
        server = prepared(directory / "server", settings={"user": USER})
        server.program = (python, "-c", "from notqmail.cli import main; main()")
        server.environ = {"PYTHONPATH": str(packages)}
        try:
            server.start()
            yield server
        finally:
            server.close()


def _python_for_everybody() -> str:
    """An interpreter of this version that is not in root's home directory."""
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        real = os.path.realpath(python)
        print_version = [real, "-c", "import sys; print(*sys.version_info[:2])"]
        try:
            ran = subprocess.run(
                print_version, user=USER, cwd="/", capture_output=True, text=True, check=True
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        if ran.stdout.split() == [str(number) for number in sys.version_info[:2]]:
            return real
    pytest.skip(f"no Python {sys.version_info[0]}.{sys.version_info[1]} that {USER} can run")


def test_it_serves_delivers_and_reloads_as_that_user(server: Server) -> None:
    uid = pwd.getpwnam(USER).pw_uid
    status = Path(f"/proc/{server.pid}/status").read_text()
    with SmtpClient.greeted(server.port) as client:
        client.envelope("bob@sender.example", f"alice@{DOMAIN}")
        assert client.data(b"Subject: by smtp\r\n\r\n").startswith("250 ")
    given = server.command("inject", f"alice@{DOMAIN}", given=b"Subject: by hand\n\n")
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded")

    server.wait_message("Subject: by smtp")
    server.wait_message("Subject: by hand")
    assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}" in status
    assert given.status == 0, given.output
    assert {path.stat().st_uid for path in server.maildir().rglob("*")} == {uid}
    assert "Traceback" not in server.log


def test_it_starts_again_on_its_own_data(server: Server) -> None:
    assert server.stop() == 0

    server.restart()

    with SmtpClient.greeted(server.port) as client:
        client.envelope("bob@sender.example", f"alice@{DOMAIN}")
        assert client.data(b"Subject: again\r\n\r\n").startswith("250 ")
    server.wait_message("Subject: again")

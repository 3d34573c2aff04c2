"""The servers that scripts/bench measures beside ours do what every workload takes for granted.

They are run as they are measured: in a mount namespace where every name is answered at once, in a control group. To
unpack them takes `scripts/peers` some twenty seconds, once, and these tests some ten, so CI has them too: a
benchmark is seldom run as a whole, and would otherwise be found broken when its figures are wanted.
"""

import os
import smtplib
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.bench.daemon import Daemon
from tests.bench.load import files, sink, sink_place, wait_count
from tests.bench.names import answering, enter_namespace
from tests.bench.peer import ABROAD, Peer, Setup, Unavailable
from tests.bench.servers import server
from tests.support.places import open_directory
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.root]

# how each is told to try at once what waits: a command, run where its files and accounts are
TRY_AGAIN = {
    "exim": "/usr/sbin/exim4 -qff",
    "opensmtpd": "setpriv --regid opensmtpq --clear-groups /usr/sbin/smtpctl schedule all",
    "chasquid": "true",  # it does so when it is started
    "haraka": "kill -HUP {pid}",
}


PATIENCE = 30.0  # seconds
Start = Callable[[Setup], AbstractContextManager[Daemon]]


@pytest.fixture(params=TRY_AGAIN)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def peer(name: str) -> Peer:
    if os.geteuid() != 0:
        pytest.skip("a mount namespace needs root")
    peer = server(name)
    try:
        peer.version()
    except Unavailable as reason:
        pytest.skip(str(reason))
    return peer


@pytest.fixture
def started(peer: Peer) -> Iterator[Start]:
    """Run the server; at the end of the test whatever it had started must be gone."""
    seen: set[int] = set()

    @contextmanager
    def running(setup: Setup) -> Iterator[Daemon]:
        with peer.running(setup) as server:
            assert isinstance(server, Daemon)
            seen.update(server.processes.group.pids())
            yield server
            seen.update(server.processes.group.pids())

    yield running
    assert seen
    assert not {pid for pid in seen if Path(f"/proc/{pid}/exe").exists()}


def where_names_are_answered(work: Callable[[Path], None]) -> None:
    """Do the work, with a directory, in a thread with a mount namespace of its own, which is that of all it starts."""
    failures: list[BaseException] = []

    def thread(directory: Path) -> None:
        try:
            enter_namespace()
            with answering(directory):
                work(directory / "server")
        except BaseException as failure:
            failures.append(failure)

    with open_directory() as directory:
        (directory / "server").mkdir()
        worker = threading.Thread(target=thread, args=(directory,))
        worker.start()
        worker.join()
        mounts = Path("/proc/mounts").read_text()
    assert str(directory) not in mounts
    if failures:
        raise failures[0]


def send(to: Daemon, recipient: str) -> None:
    with smtplib.SMTP(*to.address, timeout=20) as client:
        client.sendmail("a@sender.example", [recipient], b"Subject: one\r\n\r\nmessage\r\n")


def test_a_message_is_in_the_inbox(started: Start) -> None:
    found: list[bytes] = []

    def work(directory: Path) -> None:
        with started(Setup(directory)) as server:
            inbox = server.inbox("bench")
            send(server, f"bench@{server.domain}")
            wait_count(lambda: files(inbox), 1, "messages were delivered", PATIENCE)
            found.extend(path.read_bytes() for path in inbox.iterdir())

    where_names_are_answered(work)

    [message] = found
    assert b"Subject: one\n\nmessage\n" in message.replace(b"\r\n", b"\n")


def test_an_unknown_user_is_refused(started: Start) -> None:
    def work(directory: Path) -> None:
        with (
            started(Setup(directory)) as server,
            pytest.raises(smtplib.SMTPRecipientsRefused, match="550"),
        ):
            send(server, f"nobody@{server.domain}")

    where_names_are_answered(work)


def test_mail_for_elsewhere_is_relayed(started: Start) -> None:
    def work(directory: Path) -> None:
        place = sink_place()
        with sink(place) as there, started(Setup(directory, relay=place)) as server:
            send(server, f"bench@{ABROAD}")
            wait_count(there.received, 1, "messages were relayed", PATIENCE)

    where_names_are_answered(work)


def test_a_restart_keeps_the_queue(started: Start, name: str) -> None:
    def work(directory: Path) -> None:
        place = sink_place()
        with started(Setup(directory, relay=place, backlog=1)) as server:
            with socket.create_server(place) as listener:  # the first attempt fails
                listener.settimeout(PATIENCE)
                send(server, f"bench@{ABROAD}")
                listener.accept()[0].close()
            with sink(place) as there:
                server.restart()

                def relayed() -> bool:  # asked again and again: it may still be reading its queue
                    inside(server, TRY_AGAIN[name])
                    return there.received() == 1

                wait_until(relayed, PATIENCE, lambda: "the message is not relayed")

    where_names_are_answered(work)


def inside(server: Daemon, command: str) -> None:
    """Run a command where a server's files and accounts are."""
    pid = str(min(server.processes.group.pids()))
    subprocess.run(
        ["nsenter", "--mount", "--target", pid, *command.format(pid=pid).split()], check=True
    )

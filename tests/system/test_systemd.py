import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from notqmail.mail.errors import ConfigError
from notqmail.system.systemd import Notifier, Passed, listen_fds

Channel = tuple[socket.socket, Notifier]


@pytest.fixture(params=["path", "abstract"])
def channel(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Channel]:
    """A service manager's socket, and a notifier that was told of it."""
    address = str(tmp_path / "n") if request.param == "path" else f"@notqmail-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address.replace("@", "\0") if request.param == "abstract" else address)
        manager.settimeout(10)
        yield manager, Notifier.of({"NOTIFY_SOCKET": address})


@pytest.mark.parametrize(
    ("tell", "said"),
    [
        (lambda n: n.ready(), [b"READY=1"]),
        (lambda n: n.ready("3 listeners"), [b"READY=1", b"STATUS=3 listeners"]),
        (lambda n: n.stopping(), [b"STOPPING=1"]),
        (lambda n: n.status("2 lines\nREADY=1"), [b"STATUS=2 lines READY=1"]),
    ],
)
def test_service_manager_is_told(
    channel: Channel, tell: Callable[[Notifier], None], said: list[bytes]
) -> None:
    manager, notifier = channel

    tell(notifier)

    assert manager.recv(1000).split(b"\n") == said


def test_reload_comes_with_the_monotonic_time(channel: Channel) -> None:
    manager, notifier = channel

    notifier.reloading()

    first, second = manager.recv(1000).split(b"\n")
    name, _, value = second.partition(b"=")
    assert (first, name) == (b"RELOADING=1", b"MONOTONIC_USEC")
    assert int(value) > 0


def test_without_a_service_manager_nobody_is_told() -> None:
    Notifier.of({}).ready()


def test_service_manager_that_does_not_listen_is_no_reason_to_stop(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Notifier(str(tmp_path / "nobody")).ready()

    assert "does not hear us" in caplog.text


def test_address_is_not_inherited_by_what_we_start() -> None:
    environ = {"NOTIFY_SOCKET": "/run/x", "PATH": "/bin"}

    Notifier.of(environ)

    assert environ == {"PATH": "/bin"}


async def test_telling_does_not_block_the_loop(channel: Channel) -> None:
    manager, notifier = channel

    notifier.ready()

    assert manager.recv(1000)


@pytest.mark.parametrize(
    ("environ", "passed"),
    [
        ({}, ()),
        ({"LISTEN_PID": "8", "LISTEN_FDS": "1"}, ()),
        ({"LISTEN_PID": "7", "LISTEN_FDS": "0"}, ()),
        ({"LISTEN_PID": "7", "LISTEN_FDS": "1"}, (Passed(3, "unknown"),)),
        (
            {"LISTEN_PID": "7", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "mx:web"},
            (Passed(3, "mx"), Passed(4, "web")),
        ),
    ],
)
def test_passed_sockets_are_read_from_the_environment(
    environ: dict[str, str], passed: tuple[Passed, ...]
) -> None:
    assert listen_fds(environ, 7) == passed


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"LISTEN_FDS": "-1"},
        {"LISTEN_FDS": "x"},
        {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "mx"},
    ],
)
def test_environment_that_makes_no_sense_is_told(more: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="LISTEN_FD"):
        listen_fds({"LISTEN_PID": "7"} | more, 7)


def take_in_child(fd: int) -> "subprocess.CompletedProcess[str]":
    """Take one socket, in a process that has it where systemd would put it: at descriptor 3."""
    program = """
import os, sys
from notqmail.system.systemd import take_sockets
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
((name, taken),) = take_sockets()
print(name, taken.getsockname()[1], os.get_inheritable(taken.fileno()), "LISTEN_FDS" in os.environ)
"""
    return subprocess.run(
        [sys.executable, "-c", program, str(fd)],
        pass_fds=[fd],
        env={**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "mx"},
        check=False,
        capture_output=True,
        text=True,
    )


def test_passed_socket_becomes_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = take_in_child(server.fileno())

    assert done.stdout.split() == ["mx", str(port), "False", "False"]


def test_passed_descriptor_that_is_no_socket_is_told() -> None:
    with Path(os.devnull).open() as file:
        done = take_in_child(file.fileno())

    assert "ConfigError: LISTEN_FDS: mx: descriptor 3" in done.stderr
    assert "pass sockets only" in done.stderr

"""How a measured server is started and ended."""

import os
import socket
import sys
import threading
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest

from tests.bench.peer import Endpoint, Failed
from tests.bench.processes import processes
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

_LEAVES_A_CHILD = """
import os, time
if os.fork() == 0:
    os.setsid()
    time.sleep(600)
"""

_SAYS_GOODBYE = """
import signal
signal.signal(signal.SIGTERM, lambda *_: exit(print("bye")))
print("up", flush=True)
signal.pause()
"""


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # ended, and whoever adopted it has not noticed yet


def _has_said(log: Path, words: str, times: int) -> bool:
    return log.read_text().count(words) == times


def test_at_the_end_nothing_is_left() -> None:
    with processes() as group:
        process = group.start(["sleep", "600"])
        assert group.alive()

    assert not _lives(process.pid)


def test_an_interrupted_block_leaves_nothing_either() -> None:
    started = []

    def interrupted() -> NoReturn:
        with processes() as group:
            started.append(group.start(["sleep", "600"]).pid)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert not _lives(*started)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="a control group is made by root")
def test_a_child_that_left_its_session_is_ended_too() -> None:
    with processes() as group:
        group.start([sys.executable, "-c", _LEAVES_A_CHILD]).wait()
        (child,) = group.group.pids()

    assert not _lives(child)


def test_stop_ends_in_good_order_and_it_may_start_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with processes() as group:
        for times in (1, 2):
            process = group.start([sys.executable, "-c", _SAYS_GOODBYE], output=log)
            wait_until(partial(_has_said, log, "up", times), 30, log.read_text)
            group.stop()
            assert process.poll() == 0

    assert log.read_text().split() == ["up", "bye"] * 2


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_it_becomes_another_user(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with processes() as group:
        group.start(["id", "-un"], user="nobody", output=log).wait()

    assert log.read_text() == "nobody\n"


def test_a_server_that_ends_before_it_greets_has_failed(tmp_path: Path) -> None:
    with processes() as group:
        group.start(["sh", "-c", "echo no such luck"], output=tmp_path / "log").wait()
        with pytest.raises(Failed, match="ended before it greeted: no such luck"):
            group.wait_greeting(Endpoint("127.0.0.1", 9))


def test_a_server_that_does_not_greet_in_time_has_failed() -> None:
    with processes() as group:
        group.start(["sleep", "600"])
        with pytest.raises(Failed, match=r"no greeting at 127\.0\.0\.1:9 after 0 s"):
            group.wait_greeting(Endpoint("127.0.0.1", 9), 0)


def test_a_greeting_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, processes() as group:
        greeter = threading.Thread(target=lambda: _greet(listening))
        greeter.start()

        assert 0 <= group.wait_greeting(Endpoint(*listening.getsockname())) < 30

        greeter.join()


def _greet(listening: socket.socket) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.sendall(b"220 mx.example.org\r\n")

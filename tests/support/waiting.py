"""For tests with real processes: waiting for what another process does, and ports nobody uses.

The only place where a test may poll: another process's file system has no event that we could await.
Unit tests have virtual time (tests/support) and need none of this.
"""

import secrets
import socket
import time
from collections.abc import Callable

STEP = 0.02  # seconds between two looks


def wait_until(condition: Callable[[], bool], timeout: float, complaint: Callable[[], str]) -> None:
    """Return as soon as `condition` holds; after `timeout` seconds fail with the complaint."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"after {timeout:g} s: {complaint()}")
        time.sleep(STEP)


def free_port(host: str = "127.0.0.1") -> int:
    """Give a port of a loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def shared_port(*hosts: str) -> int:
    """Give a port that is free on all of these loopback addresses now, and that the system gives to no client: below
    the range of Linux's ephemeral ports."""
    while True:
        port = 15_000 + secrets.randbelow(
            15_000
        )  # not random: tests in parallel have the same seed
        if all(_free(port, host) for host in hosts):
            return port


def free_port_base(*offsets: int) -> int:
    """Give N so that each of N+offset is free now (`notqmail init --port-base`)."""
    while True:
        base = free_port() - offsets[0]
        if (
            base > 1024
            and base + max(offsets) < 65536
            and all(map(_free, (base + o for o in offsets)))
        ):
            return base


def _free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True

"""House rules for every test: nothing beyond loopback, no task left behind, no blocked loop, no silent skip in CI."""

import asyncio
import ipaddress
import os
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import hypothesis
import pytest
from blockbuster import BlockBuster

hypothesis.settings.register_profile("house", deadline=None)  # shared machines pause
hypothesis.settings.register_profile(
    "mutants",  # of scripts/mutants: the same examples each time, and the first that fails is enough
    deadline=None,
    derandomize=True,
    database=None,
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
)
hypothesis.settings.load_profile("house")

# What may block the event loop although it is ours: (blocking function, file, in which function), and why.
MAY_BLOCK: tuple[tuple[str, str, str], ...] = (
    # four stats five times a second, and a changed file of at most 256 KB: a user added is known at the next RCPT
    ("os.stat", "notqmail/system/accounts.py", "refresh"),
    ("io.BufferedReader.read", "notqmail/system/accounts.py", "refresh"),
    ("io.TextIOWrapper.read", "notqmail/system/accounts.py", "refresh"),
)


@pytest.fixture(scope="session", autouse=True)
def blocking_calls_fail() -> Iterator[None]:
    """Make a blocking call of our code inside an event loop an error (blockbuster)."""
    buster = BlockBuster(scanned_modules=["notqmail"])
    for blocking, file, function in MAY_BLOCK:
        buster.functions[blocking].can_block_in(file, function)
    for each in buster.functions.values():  # where the simulation runs what a thread would
        each.can_block_in("tests/simulation/loop.py", "_run_job")
    buster.activate()
    try:
        yield
    finally:
        buster.deactivate()


@pytest.fixture
async def no_task_is_left() -> AsyncIterator[None]:
    """Fail an async test that leaves a task running: pytest-asyncio would cancel it in silence."""
    yield
    await asyncio.sleep(0)  # what has been cancelled or is done in this turn may end
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks left behind: {left}"


def pytest_itemcollected(item: pytest.Item) -> None:
    if isinstance(item, pytest.Function) and asyncio.iscoroutinefunction(item.function):
        item.fixturenames.insert(0, "no_task_is_left")  # set up first, so torn down last


@pytest.fixture(scope="session", autouse=True)
def only_loopback() -> Iterator[None]:
    """Make a connection to anywhere but this machine an error."""
    patch = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex", "sendto"):
        patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
    yield
    patch.undo()


def _guarded(function: Any) -> Any:
    def guard(self: socket.socket, *args: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = str(args[-1][0]).partition("%")[0]
            if host != "localhost" and not ipaddress.ip_address(host or "::1").is_loopback:
                raise AssertionError(f"a test must not reach beyond loopback: {args[-1]}")
        return function(self, *args)

    return guard


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    return _no_skip_in_ci((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Any:
    return _no_skip_in_ci((yield))


def _no_skip_in_ci(report: Any) -> Any:
    """In CI a test that skips has not run, and that is a failure; everybody else sees the reason."""
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {reason}"
    return report

"""What processes use, by control group and, where there is none, by session."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench.usage import ControlGroup, Group, Sessions, new_group, watched

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

# burns 0.1 s of CPU in a child that ends, holds 20 MB, and says so
_BUSY = """
import os, time
if os.fork() == 0:
    while time.process_time() < 0.1: pass
    os._exit(0)
os.wait()
held = b"x" * 20_000_000
print("ready", flush=True)
time.sleep(600)
"""


def _control_group() -> Group:
    group = new_group()
    if isinstance(group, Sessions):
        pytest.skip("no control group can be made here")
    return group


@pytest.mark.parametrize("make", [_control_group, Sessions])
def test_cpu_and_memory_of_all_processes_are_counted(make: Callable[[], Group]) -> None:
    group = make()
    command = group.entered([sys.executable, "-c", _BUSY])
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process,
        watched(group) as usage,
    ):
        group.lead(process.pid)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            assert usage.cpu() >= 0.1
            assert usage.memory() > 20_000_000
            assert group.pids() == {process.pid}
        finally:
            process.kill()

    assert usage.memory() == 0
    assert usage.peak_memory() > 20_000_000
    group.remove()


def test_a_removed_group_is_gone() -> None:
    group = _control_group()
    assert isinstance(group, ControlGroup)

    group.remove()

    assert not group.path.exists()


def test_a_group_left_by_a_killed_run_is_removed_by_the_next() -> None:
    group = _control_group()
    assert isinstance(group, ControlGroup)
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    left = group.path.with_name(f"notqmail-bench-{ended.pid}-1")
    left.mkdir()
    other = new_group()
    try:
        assert not left.exists()
        assert group.path.exists()  # ours, and we live
    finally:
        for each in (group, other):
            each.remove()


def test_version_2_is_read(tmp_path: Path) -> None:
    (tmp_path / "cpu.stat").write_text("usage_usec 1500000\nuser_usec 1000000\n")
    (tmp_path / "cgroup.procs").write_text("1\n2\n1\n")
    group = ControlGroup(tmp_path)

    assert group.cpu() == 1.5
    assert group.pids() == {1, 2}


def test_a_process_that_is_gone_has_no_memory() -> None:
    with watched(Sessions({os.getpid() + 1_000_000_000})) as usage:
        assert usage.memory() == 0

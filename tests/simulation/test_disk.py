"""The simulated disk: what survives a crash, what never does, and that the dead change nothing."""

import errno
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.simulation.disk import Crash, DeadError, Mount, SimulatedDisk
from tests.support.disk import ROOT

DATA = Path("/data")
SEEDS = range(60)

Doing = Callable[[Mount], object]


def made(seed: int = 0) -> tuple[SimulatedDisk, Mount]:
    disk = SimulatedDisk(random.Random(seed), DATA)
    return disk, disk.mount(lambda: None)


def write_file(mount: Mount, path: str, data: bytes, *, sync: bool = True) -> int:
    inode = mount.create(path)
    mount.write(inode, data, 0)
    if sync:
        mount.sync(inode)
    return inode


def found_after(kind: Crash, doing: Doing) -> list[dict[str, bytes]]:
    """What is on the disk after `doing` and a crash, for many seeds."""
    found = []
    for seed in SEEDS:
        disk, mount = made(seed)
        doing(mount)
        disk.crash(kind)
        found.append(dict(disk.content()))
    return found


def test_what_is_synced_with_its_name_survives_every_power_failure() -> None:
    def doing(mount: Mount) -> None:
        write_file(mount, "/data/a", b"one")
        mount.sync(ROOT)

    assert all(content == {"a": b"one"} for content in found_after("power", doing))


def test_what_is_not_synced_survives_some_power_failures_and_not_others() -> None:
    def doing(mount: Mount) -> None:
        write_file(mount, "/data/a", b"one", sync=False)
        mount.sync(ROOT)

    assert {content["a"] for content in found_after("power", doing)} == {b"one", b""}


def test_a_long_write_may_arrive_in_part() -> None:
    whole = b"x" * 2048

    def doing(mount: Mount) -> None:
        write_file(mount, "/data/a", whole, sync=False)
        mount.sync(ROOT)

    torn = [c["a"] for c in found_after("power", doing) if 0 < c["a"].count(b"x") < len(whole)]
    assert torn
    assert all(content.count(b"x") % 512 == 0 for content in torn)


def test_a_rename_without_a_sync_of_its_directory_may_be_lost() -> None:
    def doing(mount: Mount) -> None:
        write_file(mount, "/data/a", b"one")
        mount.sync(ROOT)
        mount.rename("/data/a", "/data/b")

    left = {tuple(sorted(content)) for content in found_after("power", doing)}
    assert left == {("a",), ("b",), ("a", "b"), ()}


def test_a_killed_process_loses_nothing_that_it_has_written() -> None:
    def doing(mount: Mount) -> None:
        write_file(mount, "/data/a", b"one", sync=False)

    assert all(content == {"a": b"one"} for content in found_after("kill", doing))


def test_what_a_killed_process_has_not_synced_is_still_not_certain() -> None:
    left = set()
    for seed in SEEDS:
        disk, mount = made(seed)
        write_file(mount, "/data/a", b"one")
        disk.crash("kill")
        disk.crash("power")
        left.add(tuple(disk.content()))

    assert left == {("a",), ()}


def test_the_crash_comes_just_before_its_operation() -> None:
    disk, mount = made()
    disk.crash_at(disk.operations + 3, "kill")
    inode = mount.create("/data/a")
    mount.write(inode, b"one", 0)

    with pytest.raises(DeadError):
        mount.write(inode, b"two", 3)

    assert disk.content() == {"a": b"one"}
    assert disk.operations == 2


@pytest.mark.parametrize("kind", ["kill", "power"])
def test_the_dead_change_nothing_and_see_nothing(kind: Crash) -> None:
    disk, mount = made()
    inode = write_file(mount, "/data/a", b"one")
    mount.sync(ROOT)
    disk.crash(kind)
    before, operations = disk.content(), disk.operations
    attempts: list[Callable[[], object]] = [
        lambda: mount.create("/data/b"),
        lambda: mount.write(inode, b"two", 0),
        lambda: mount.truncate(inode, 0),
        lambda: mount.sync(inode),
        lambda: mount.rename("/data/a", "/data/b"),
        lambda: mount.link("/data/a", "/data/b"),
        lambda: mount.remove("/data/a"),
        lambda: mount.find("/data/a"),
        lambda: mount.read(inode, 3, 0),
        lambda: mount.size(inode),
        lambda: mount.list(ROOT),
        mount.free,
    ]

    for attempt in attempts:
        with pytest.raises(DeadError):
            attempt()

    assert disk.content() == before
    assert disk.operations == operations


def test_who_dies_is_told_once_and_at_once() -> None:
    disk, told = SimulatedDisk(random.Random(0), DATA), list[int]()
    mount = disk.mount(lambda: told.append(disk.operations))
    disk.crash_at(2, "kill")
    inode = mount.create("/data/a")

    for _ in range(2):
        with pytest.raises(DeadError):
            mount.sync(inode)

    assert told == [1]


def test_a_disk_is_used_by_one_process_at_a_time() -> None:
    disk, mount = made()
    with pytest.raises(AssertionError, match="another process"):
        disk.mount(lambda: None)

    mount.leave()

    assert disk.mount(lambda: None).list(ROOT) == []


def test_a_full_disk_takes_what_fits_and_then_nothing_until_there_is_room() -> None:
    disk, mount = made()
    inode = write_file(mount, "/data/a", b"one")
    disk.room = 2

    assert mount.write(inode, b"four", 3) == 2
    more: list[Callable[[], int]] = [
        lambda: mount.write(inode, b"x", 5),
        lambda: mount.create("/data/b"),
    ]
    for attempt in more:
        with pytest.raises(OSError, match="No space") as raised:
            attempt()
        assert raised.value.errno == errno.ENOSPC
    assert mount.write(inode, b"ONE", 0) == 3  # no new octet
    assert mount.free() == 0
    disk.room = None
    assert mount.write(inode, b"x", 5) == 1


def test_a_read_only_disk_can_be_read() -> None:
    disk, mount = made()
    inode = write_file(mount, "/data/a", b"one")
    disk.read_only = True

    with pytest.raises(OSError, match="Read-only"):
        mount.write(inode, b"two", 0)

    assert mount.read(inode, 3, 0) == b"one"


def test_a_sync_that_fails_says_nothing_about_the_octets_and_neither_does_the_next() -> None:
    left = set()
    for seed in SEEDS:
        disk, mount = made(seed)
        inode = mount.create("/data/a")
        mount.sync(ROOT)
        mount.write(inode, b"one", 0)
        disk.bad_syncs = 1.0
        with pytest.raises(OSError, match="Input/output"):
            mount.sync(inode)
        disk.bad_syncs = 0.0
        mount.sync(inode)
        disk.crash("power")
        left.add(disk.content()["a"])

    assert left == {b"one", b""}


def test_a_slow_disk_says_how_long_it_took() -> None:
    disk, mount = made()
    assert disk.take_time() == 0
    disk.slow = 2.0
    write_file(mount, "/data/a", b"one")

    assert 0 < disk.take_time() < 3 * 2.0
    assert disk.take_time() == 0


def test_the_same_seed_leaves_the_same_octets() -> None:
    def doing(mount: Mount) -> None:
        for name in "abcdef":
            write_file(mount, f"/data/{name}", random.Random(name).randbytes(3000), sync=False)

    assert found_after("power", doing) == found_after("power", doing)

"""The disk is cut off at random moments under load, and brought back as after a reboot."""

import asyncio
import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.crash.disk import Cut, Disk
from tests.crash.ledger import Account
from tests.crash.world import World, world

WINDOW = (0.5, 3.0)  # seconds of load before a cut; the kernel's own commit comes every five
AFTER = 0.2  # seconds in which the server still runs on the dead disk: a 250 then would be a lie
ROOM = 0.4  # of the disk: when more is occupied, mail that was counted is removed; the other stays for the cuts to come
WITHOUT_SYNC = {"LD_PRELOAD": "libeatmydata.so"}  # fsync and its like do nothing


@dataclass(frozen=True, slots=True)
class Plan:
    """How often, and how it is drawn."""

    cuts: int = 20
    seed: int = 1
    environ: Mapping[str, str] | None = None  # of the server


@dataclass(frozen=True, slots=True)
class Tally:
    """How far it is. `account` is of everything since the beginning."""

    cuts: int
    answered: int  # messages
    account: Account
    seconds: float


Watch = Callable[[Tally], None]


async def run(plan: Plan, disk: Disk, watch: Watch) -> Tally:
    """Cut so many times, the two kinds in turn. Ends early at the first audit that is not clean.
    Raises StuckError, DamagedError."""
    moments = random.Random(plan.seed)
    began = time.monotonic()
    async with world(disk.path, plan.environ) as here:
        await asyncio.to_thread(os.sync)  # the installation itself is not what is tested
        await here.start()
        for cut in range(1, plan.cuts + 1):
            kind = tuple(Cut)[cut % 2]
            account = await _cut(here, disk, kind, moments.uniform(*WINDOW))
            tally = Tally(cut, here.ledger.answered, account, time.monotonic() - began)
            watch(tally)
            if not account.clean:
                return tally
        here.check_load()
        return tally


async def _cut(here: World, disk: Disk, kind: Cut, after: float) -> Account:
    await here.load()
    await asyncio.sleep(after)
    await asyncio.to_thread(disk.cut, kind)
    await asyncio.sleep(AFTER)
    await here.kill()
    await here.quiet()
    await asyncio.to_thread(disk.restore)
    here.maildirs.forget()
    await here.start()
    await here.drain()
    account = here.ledger.settled + await here.audit()
    if account.clean and _full(disk) > ROOM:
        await here.settle()
        await asyncio.to_thread(os.sync)  # what is removed stays so
    return account


def _full(disk: Disk) -> float:
    status = os.statvfs(disk.path)
    return 1 - status.f_bavail / status.f_blocks

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from notqmail.delivery.batches import CROWD, Batches


class Work:
    """Doubles numbers, batch by batch, each when it is let."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)

    def __call__(self, jobs: Sequence[int]) -> list[int]:
        self.batches.append(list(jobs))
        self.begun.release()
        assert self.go.acquire(timeout=10)
        if -1 in jobs:
            raise ValueError("no")
        return [2 * job for job in jobs]

    async def wait_begun(self) -> None:
        await asyncio.to_thread(self.begun.acquire)


@pytest.fixture
async def work() -> Work:
    return Work()


@pytest.fixture
async def make(work: Work) -> AsyncIterator[Callable[[int, int], Batches[int, int]]]:
    made: list[Batches[int, int]] = []

    def make(workers: int, limit: int) -> Batches[int, int]:
        made.append(Batches(work, workers=workers, limit=limit, name="test"))
        return made[-1]

    yield make
    work.go.release(100)
    for batches in made:
        await batches.close()


async def test_jobs_of_one_turn_are_one_batch(work, make) -> None:
    batches = make(2, 10)
    work.go.release()

    results = await asyncio.gather(*(batches.submit(i) for i in range(5)))

    assert results == [0, 2, 4, 6, 8]
    assert work.batches == [[0, 1, 2, 3, 4]]


async def test_jobs_that_come_meanwhile_wait_and_are_done_together(work, make) -> None:
    batches = make(2, 10)
    futures = [batches.submit(0)]
    await work.wait_begun()
    for i in range(1, 4):
        futures.append(batches.submit(i))
        await asyncio.sleep(0)
    work.go.release(2)

    await asyncio.gather(*futures)

    assert work.batches == [[0], [1, 2, 3]]


async def test_crowd_wakes_another_worker(work, make) -> None:
    batches = make(2, 100)
    futures = [batches.submit(0)]
    await work.wait_begun()
    futures += [batches.submit(i) for i in range(CROWD)]
    await work.wait_begun()  # while the first is still at work
    work.go.release(2)

    await asyncio.gather(*futures)

    assert [len(batch) for batch in work.batches] == [1, CROWD]


async def test_no_batch_is_larger_than_the_limit(work, make) -> None:
    batches = make(1, 4)
    work.go.release(3)

    await asyncio.gather(*(batches.submit(i) for i in range(10)))

    assert [len(batch) for batch in work.batches] == [4, 4, 2]


async def test_what_work_raises_is_raised_by_every_job_of_the_batch(work, make) -> None:
    batches = make(1, 10)
    work.go.release(2)

    bad = await asyncio.gather(batches.submit(-1), batches.submit(1), return_exceptions=True)
    good = await batches.submit(2)

    assert [str(error) for error in bad] == ["no", "no"]
    assert good == 4


async def test_cancelled_job_does_not_disturb_the_others(work, make) -> None:
    batches = make(1, 10)
    gone, stays = batches.submit(1), batches.submit(2)
    await work.wait_begun()
    gone.cancel()
    work.go.release()

    assert await stays == 4


async def test_cancelled_job_of_a_failed_batch_stays_cancelled(work, make) -> None:
    batches = make(1, 10)
    gone, stays = batches.submit(-1), batches.submit(2)
    await work.wait_begun()
    gone.cancel()
    work.go.release()

    with pytest.raises(ValueError, match="no"):
        await stays


async def test_close_waits_for_what_was_submitted(work, make) -> None:
    batches = make(1, 1)
    futures = [batches.submit(i) for i in range(3)]
    work.go.release(3)

    await batches.close()

    assert [future.result() for future in futures] == [0, 2, 4]

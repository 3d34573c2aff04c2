import asyncio
import gc
import threading
from collections.abc import AsyncIterator

import pytest

from notqmail.system.offload import ThreadPool


@pytest.fixture
async def pool() -> AsyncIterator[ThreadPool]:
    pool = ThreadPool(2, backlog=1)
    yield pool
    await pool.close()


async def test_function_runs_in_another_thread(pool: ThreadPool) -> None:
    assert await pool.run(threading.get_ident) != threading.get_ident()


async def test_result_and_arguments_pass_through(pool: ThreadPool) -> None:
    assert await pool.run(divmod, 7, 2) == (3, 1)


async def test_exception_comes_back_to_the_caller(pool: ThreadPool) -> None:
    with pytest.raises(ZeroDivisionError):
        await pool.run(divmod, 1, 0)


async def test_only_so_many_jobs_are_handed_over_and_the_rest_wait_their_turn(
    pool: ThreadPool,
) -> None:
    go = threading.Event()
    begun = threading.Semaphore(0)

    def job() -> None:
        begun.release()
        assert go.wait(10)

    jobs = [asyncio.create_task(pool.run(job)) for _ in range(5)]
    for _ in range(2):
        await asyncio.to_thread(begun.acquire)
    await asyncio.sleep(0)

    assert pool.waiting == 2  # two run, one is in the pool's backlog
    go.set()
    await asyncio.gather(*jobs)
    assert pool.waiting == 0


async def test_cancelled_caller_leaves_its_job_running_and_its_place_taken(
    pool: ThreadPool,
) -> None:
    go, begun, done = threading.Event(), threading.Event(), threading.Event()

    def job() -> None:
        begun.set()
        assert go.wait(10)
        done.set()

    caller = asyncio.create_task(pool.run(job))
    await asyncio.to_thread(begun.wait)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go.set()

    assert await asyncio.to_thread(done.wait, 10)


async def test_nothing_runs_after_close() -> None:
    pool = ThreadPool(1, backlog=0)
    await pool.close()

    for _ in range(3):  # and a refused job does not keep its place
        with pytest.raises(RuntimeError, match="after shutdown"):
            await pool.run(int)


async def test_a_job_that_fails_for_a_cancelled_caller_is_no_error_of_the_loop(
    pool: ThreadPool,
) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    go, begun = threading.Event(), threading.Event()

    def job() -> None:
        begun.set()
        assert go.wait(10)
        raise ZeroDivisionError

    caller = asyncio.create_task(pool.run(job))
    await asyncio.to_thread(begun.wait)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    go.set()
    await pool.run(int)
    await pool.run(int)
    del caller
    gc.collect()

    assert complaints == []

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from notqmail.system.last_use import RESOLUTION, LastUse, read_last_use
from notqmail.system.offload import ThreadPool


class Counting:
    """ports.Offload in a thread; counts."""

    def __init__(self) -> None:
        self.jobs = 0

    async def run(self, function: Callable[..., Any], /, *args: Any) -> Any:
        self.jobs += 1
        return await asyncio.to_thread(function, *args)


async def test_a_use_is_on_the_disk_when_it_is_noted(tmp_path: Path) -> None:
    file, pool = tmp_path / "used", ThreadPool(1)

    await LastUse(file, pool).note("phone", 1000)
    await LastUse(file, pool).note("laptop", 2000)  # after a restart

    assert await asyncio.to_thread(read_last_use, file) == {"phone": 1000, "laptop": 2000}
    await pool.close()


async def test_a_use_soon_after_is_not_written(tmp_path: Path) -> None:
    offload = Counting()
    last_use = LastUse(tmp_path / "used", offload)

    for at in (1000, 1001, 1000 + RESOLUTION - 1, 1000 + RESOLUTION):
        await last_use.note("phone", at)

    assert offload.jobs == 2
    assert await asyncio.to_thread(read_last_use, tmp_path / "used") == {"phone": 1000 + RESOLUTION}


async def test_uses_at_once_are_written_together(tmp_path: Path) -> None:
    offload = Counting()
    last_use = LastUse(tmp_path / "used", offload)

    await asyncio.gather(*(last_use.note(str(n), n) for n in range(50)))

    assert offload.jobs == 2  # the first, and all that came meanwhile
    assert len(await asyncio.to_thread(read_last_use, tmp_path / "used")) == 50


async def test_what_cannot_be_written_refuses_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        await LastUse(tmp_path / "missing" / "used", Counting()).note("phone", 1000)

    assert "last use of app passwords not written" in caplog.text


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": "b"}', "\x00"])
async def test_a_file_that_is_not_understood_is_begun_anew(tmp_path: Path, text: str) -> None:
    file = tmp_path / "used"
    file.write_text(text)

    assert await asyncio.to_thread(read_last_use, file) == {}
    await LastUse(file, Counting()).note("phone", 1000)

    assert await asyncio.to_thread(read_last_use, file) == {"phone": 1000}

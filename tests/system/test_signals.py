import asyncio
import os
import signal

import pytest

from notqmail.system.signals import Signals


class Heard:
    def __init__(self) -> None:
        self.reloads, self.hurries = 0, 0
        self.event = asyncio.Event()

    def reload(self) -> None:
        self.reloads += 1
        self.event.set()

    def hurry(self) -> None:
        self.hurries += 1
        self.event.set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_term_and_int_ask_to_stop(number: signal.Signals) -> None:
    heard = Heard()

    with Signals(heard.reload, heard.hurry) as signals:
        os.kill(os.getpid(), number)
        await asyncio.wait_for(signals.stop.wait(), 10)

    assert (heard.reloads, heard.hurries) == (0, 0)


async def test_second_stop_hurries() -> None:
    heard = Heard()

    with Signals(heard.reload, heard.hurry) as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(signals.stop.wait(), 10)
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.wait_for(heard.event.wait(), 10)

    assert heard.hurries == 1


async def test_hup_reloads_each_time() -> None:
    heard = Heard()

    with Signals(heard.reload, heard.hurry) as signals:
        for _ in range(2):
            heard.event.clear()
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.wait_for(heard.event.wait(), 10)

        assert not signals.stop.is_set()
    assert heard.reloads == 2


async def test_handlers_are_gone_afterwards() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it would be another one
    try:
        with Signals(lambda: None, lambda: None):
            assert signal.getsignal(signal.SIGHUP) != signal.SIG_DFL

        assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)

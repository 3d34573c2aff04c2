"""A signal ends a run as an exception."""

import signal
from contextlib import ExitStack

import pytest

from tests.bench.stopping import Stopped, stoppable


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_becomes_stopped(number: signal.Signals, status: int) -> None:
    with pytest.raises(Stopped, match=number.name) as stopped, stoppable():
        signal.raise_signal(number)

    assert stopped.value.status == status


def test_signals_that_follow_do_not_disturb_the_closing() -> None:
    closed = []

    def close() -> None:
        signal.raise_signal(signal.SIGTERM)
        closed.append("everything")

    def work() -> None:
        with stoppable(), ExitStack() as stack:
            stack.callback(close)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Stopped, match="SIGINT"):
        work()

    assert closed == ["everything"]


def test_the_handlers_from_before_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stoppable():
        assert signal.getsignal(signal.SIGTERM) is not before

    assert signal.getsignal(signal.SIGTERM) is before

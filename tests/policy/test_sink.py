"""A guarded sink never hurts who feeds it."""

import pytest

from notqmail.policy.sink import GuardedSink
from tests.support.policy import transaction


class Fails:
    def __init__(self, at: str) -> None:
        self.at = at
        self.calls: list[str] = []

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name == self.at:
            raise OSError("a scanner died")

    def feed(self, chunk: bytes) -> None:
        self._call("feed")

    def finish(self) -> None:
        self._call("finish")


@pytest.mark.parametrize(
    ("at", "calls"), [("feed", ["feed"]), ("finish", ["feed", "feed", "finish"])]
)
def test_a_failure_ends_the_sink_and_is_remembered(
    at: str, calls: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    txn, sink = transaction(), Fails(at)
    guarded = GuardedSink(sink, "scanner", txn)

    guarded.feed(b"a")
    guarded.feed(b"b")
    guarded.finish()

    assert sink.calls == calls
    assert txn.faulty == "scanner"
    assert caplog.text.count("stage failed stage=scanner phase=body") == 1

"""A body sink that cannot hurt: the receiver feeds it, whatever the stage behind it does."""

import logging

from notqmail.policy.stage import BodySink
from notqmail.policy.transaction import Transaction

_log = logging.getLogger("notqmail.policy")


class GuardedSink:
    """Passes chunks on until the sink raises; then the transaction is `faulty`, and judged so at its end."""

    __slots__ = ("_sink", "_stage", "_txn")

    def __init__(self, sink: BodySink, stage: str, txn: Transaction) -> None:
        self._sink: BodySink | None = sink
        self._stage, self._txn = stage, txn

    def feed(self, chunk: bytes) -> None:
        if self._sink is not None:
            try:
                self._sink.feed(chunk)
            except Exception:
                self._fail()

    def finish(self) -> None:
        if self._sink is not None:
            try:
                self._sink.finish()
            except Exception:
                self._fail()

    def _fail(self) -> None:
        _log.exception("stage failed stage=%s phase=body", self._stage)
        self._sink = None
        self._txn.faulty = self._stage

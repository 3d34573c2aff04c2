"""The numbers the server shows, counted as cheaply as can be and put into Prometheus' form only when asked for.

Counting is an integer added to a Counter. Numbers that others keep anyway (sessions open, the queue, records dropped)
are read by `watch` when somebody scrapes. Labels come from small fixed sets; whatever grows beyond LABELS is
counted as "other", so that no peer can fill the memory with labels.
"""

import inspect
import logging
from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

log = logging.getLogger(__name__)

LABELS = 100  # values of one label
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # seconds
OTHER = "other"

Numbers = float | Mapping[str, float]
Read = Callable[[], Numbers | Awaitable[Numbers]]


@dataclass(slots=True)
class _Watch:
    name: str
    help: str
    label: str
    total: bool
    read: Read
    latest: Numbers


class _Histogram:
    """Seconds in BUCKETS."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(BUCKETS, seconds)] += 1
        self._sum += seconds

    def family(self, name: str, help: str) -> HistogramMetricFamily:
        bounds = [*(str(bound) for bound in BUCKETS), "+Inf"]
        counted = list(zip(bounds, accumulate(self._counts), strict=True))
        return HistogramMetricFamily(name, help, buckets=counted, sum_value=self._sum)


class Metrics(Collector):
    """What is counted. The methods are called from the event loop; each costs an addition."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._connections: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._accepted: Counter[str] = Counter()
        self._deliveries: Counter[tuple[str, str]] = Counter()
        self._handshakes: Counter[tuple[str, str]] = Counter()
        self._logins: Counter[tuple[str, str]] = Counter()
        self._protections: Counter[str] = Counter()
        self._commits = _Histogram()
        self._lag = 0.0
        self._watched: list[_Watch] = []
        self.registry.register(self)

    def connected(self, listener: str) -> None:
        """A client has connected."""
        self._connections[listener] += 1

    def refused(self, reason: str) -> None:
        """A connection, command, recipient or message was refused; `reason` is a rule's name, never a peer's word."""
        if reason not in self._refused and len(self._refused) >= LABELS:
            reason = OTHER
        self._refused[reason] += 1

    def accepted(self, listener: str) -> None:
        """A message is ours; `listener`, or "local", "bounce"."""
        self._accepted[listener] += 1

    def secured(self, listener: str, result: str) -> None:
        """A TLS handshake has ended, with a protocol version or "failed"."""
        self._handshakes[listener, result] += 1

    def logged_in(self, listener: str, result: str) -> None:
        """An AUTH exchange has ended, "ok" or with the rule that ended it."""
        self._logins[listener, result] += 1

    def delivered(self, transport: str, action: str) -> None:
        """One recipient's outcome."""
        self._deliveries[transport, action] += 1

    def protected(self, level: str) -> None:
        """One recipient's outcome came over a session so protected; "refused": over none, for want of protection."""
        self._protections[level] += 1

    def committed(self, seconds: float) -> None:
        """A commit of the queue took so long."""
        self._commits.observe(seconds)

    def lagged(self, seconds: float) -> None:
        """The event loop came so late to a timer; the worst since the last scrape is shown."""
        self._lag = max(self._lag, seconds)

    def watch(
        self, name: str, help: str, read: Read, *, label: str = "", total: bool = False
    ) -> None:
        """Show a number (or, with `label`, one for each key of a mapping) read at each scrape. `read` may return an
        awaitable; `total` for what only grows."""
        self._watched.append(_Watch(name, help, label, total, read, {} if label else 0.0))

    async def refresh(self) -> None:
        """Read what is watched. What cannot be read keeps its last number: one sick part must not hide the rest."""
        for watch in self._watched:
            try:
                found = watch.read()
                watch.latest = await found if inspect.isawaitable(found) else found
            except Exception:
                log.exception("cannot be measured name=%s", watch.name)

    def collect(self) -> Iterator[Metric]:
        """Give the families (called by prometheus_client)."""
        yield _counter(
            "notqmail_connections", "Clients that connected", "listener", self._connections
        )
        yield _counter("notqmail_refused", "What was refused, by rule", "reason", self._refused)
        yield _counter("notqmail_messages_accepted", "Messages taken", "listener", self._accepted)
        for name, help, label, counted in (
            ("notqmail_deliveries", "Outcomes of delivery attempts", "action", self._deliveries),
            ("notqmail_tls_handshakes", "TLS handshakes of clients", "result", self._handshakes),
            ("notqmail_logins", "Logins, failed ones too", "result", self._logins),
        ):
            by = "transport" if counted is self._deliveries else "listener"
            family = CounterMetricFamily(name, help, labels=[by, label])
            for labels, value in counted.items():
                family.add_metric(labels, value)
            yield family
        yield _counter(
            "notqmail_delivery_tls",
            "Outcomes of other servers by the protection of the session",
            "result",
            self._protections,
        )
        yield self._commits.family("notqmail_commit_seconds", "Commits of the queue")
        yield GaugeMetricFamily(
            "notqmail_loop_lag_seconds", "Event loop's worst delay since the last scrape", self._lag
        )
        self._lag = 0.0
        for watch in self._watched:
            yield _watched(watch)


def _counter(name: str, help: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, help, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _watched(watch: _Watch) -> Metric:
    kind = CounterMetricFamily if watch.total else GaugeMetricFamily
    if not isinstance(watch.latest, Mapping):
        return kind(watch.name, watch.help, watch.latest)
    family = kind(watch.name, watch.help, labels=[watch.label])
    for key, value in watch.latest.items():
        family.add_metric([key], value)
    return family

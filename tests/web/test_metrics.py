from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from notqmail.web.metrics import BUCKETS, LABELS, Metrics


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_each_count_has_its_name_and_labels() -> None:
    metrics = Metrics()

    metrics.connected("mx")
    metrics.connected("mx")
    metrics.refused("relay_guard")
    metrics.accepted("mx")
    metrics.delivered("local", "delivered")
    metrics.protected("verified")

    assert sample(metrics, "notqmail_connections_total", listener="mx") == 2
    assert sample(metrics, "notqmail_refused_total", reason="relay_guard") == 1
    assert sample(metrics, "notqmail_messages_accepted_total", listener="mx") == 1
    assert sample(metrics, "notqmail_deliveries_total", transport="local", action="delivered") == 1
    assert sample(metrics, "notqmail_delivery_tls_total", result="verified") == 1


def test_commits_are_a_histogram_of_seconds() -> None:
    metrics = Metrics()

    for seconds in (0.001, 0.002, 99.0):
        metrics.committed(seconds)

    assert sample(metrics, "notqmail_commit_seconds_bucket", le="0.001") == 1
    assert sample(metrics, "notqmail_commit_seconds_bucket", le="0.0025") == 2
    assert sample(metrics, "notqmail_commit_seconds_bucket", le=str(BUCKETS[-1])) == 2
    assert sample(metrics, "notqmail_commit_seconds_bucket", le="+Inf") == 3
    assert sample(metrics, "notqmail_commit_seconds_count") == 3
    assert sample(metrics, "notqmail_commit_seconds_sum") == 99.003


def test_lag_is_the_worst_since_the_last_scrape() -> None:
    metrics = Metrics()
    metrics.lagged(0.5)
    metrics.lagged(0.1)

    first = generate_latest(metrics.registry)
    second = generate_latest(metrics.registry)

    assert b"notqmail_loop_lag_seconds 0.5\n" in first
    assert b"notqmail_loop_lag_seconds 0.0\n" in second


async def test_watched_numbers_are_read_when_asked_for() -> None:
    metrics, queue = Metrics(), {"due": 1.0}

    async def counts() -> dict[str, float]:
        return queue

    metrics.watch("notqmail_queue_recipients", "By state", counts, label="state")
    metrics.watch("notqmail_journal_dropped", "Lost", lambda: 7, total=True)
    metrics.watch("notqmail_sessions", "Open", lambda: 3)
    queue["due"] = 2.0
    await metrics.refresh()

    assert sample(metrics, "notqmail_queue_recipients", state="due") == 2
    assert sample(metrics, "notqmail_journal_dropped_total") == 7
    assert sample(metrics, "notqmail_sessions") == 3


async def test_watched_totals_may_have_labels() -> None:
    metrics = Metrics()
    metrics.watch("notqmail_x", "X", lambda: {"a": 1.0}, label="kind", total=True)

    before = sample(metrics, "notqmail_x_total", kind="a")
    await metrics.refresh()

    assert before is None
    assert sample(metrics, "notqmail_x_total", kind="a") == 1


async def test_source_that_fails_keeps_its_last_number_and_the_others_go_on(caplog) -> None:
    metrics, numbers = Metrics(), [1.0]
    metrics.watch("notqmail_bad", "Fails", numbers.pop)
    metrics.watch("notqmail_good", "Works", lambda: 2)

    await metrics.refresh()
    await metrics.refresh()

    assert sample(metrics, "notqmail_bad") == 1
    assert sample(metrics, "notqmail_good") == 2
    assert "notqmail_bad" in caplog.text


def test_labels_are_bounded() -> None:
    metrics = Metrics()

    for i in range(LABELS + 50):
        metrics.refused(f"rule {i}")

    text = generate_latest(metrics.registry).decode()
    (family,) = [f for f in text_string_to_metric_families(text) if f.name == "notqmail_refused"]
    assert len(family.samples) == LABELS + 1
    assert sample(metrics, "notqmail_refused_total", reason="other") == 50


def test_two_servers_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()

    one.accepted("mx")

    assert sample(other, "notqmail_messages_accepted_total", listener="mx") is None

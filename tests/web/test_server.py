from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from aiohttp import ClientSession

from notqmail.web.metrics import Metrics
from notqmail.web.server import Web


class Site:
    """A Web on a port of its own, and a client."""

    def __init__(self, client: ClientSession) -> None:
        self.client, self.metrics, self.sick = client, Metrics(), ""
        self.web = Web(
            ["127.0.0.1:0"], lambda: self.sick or None, self.metrics.registry, self.metrics.refresh
        )

    async def ask(self, method: str, path: str) -> tuple[int, str]:
        ((host, port),) = self.web.addresses
        async with self.client.request(method, f"http://{host}:{port}{path}") as response:
            self.headers = response.headers
            return response.status, await response.text()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        site = Site(await stack.enter_async_context(ClientSession()))
        await site.web.start()
        stack.push_async_callback(site.web.stop)
        yield site


async def test_ready_server_is_healthy(site: Site) -> None:
    assert await site.ask("GET", "/healthz") == (200, "ok")


async def test_sick_server_says_why(site: Site) -> None:
    site.sick = "the disk is full"

    assert await site.ask("GET", "/healthz") == (503, "the disk is full")


async def test_metrics_are_prometheus_text_as_of_now(site: Site) -> None:
    site.metrics.watch("notqmail_sessions", "Open", lambda: 3)
    site.metrics.connected("mx")

    status, text = await site.ask("GET", "/metrics")

    assert status == 200
    assert site.headers["Content-Type"].startswith("text/plain; version=")
    assert 'notqmail_connections_total{listener="mx"} 1.0\n' in text
    assert "notqmail_sessions 3.0\n" in text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/../etc/passwd", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/healthz", 405),
        ("HEAD", "/healthz", 200),
    ],
)
async def test_nothing_else_is_served(site: Site, method: str, path: str, status: int) -> None:
    assert (await site.ask(method, path))[0] == status


async def test_answers_do_not_tell_versions(site: Site) -> None:
    await site.ask("GET", "/healthz")

    assert site.headers["Server"] == "notqmail"
    assert site.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("request_line", ["/" + "x" * 5000])
async def test_long_requests_are_refused(site: Site, request_line: str) -> None:
    assert (await site.ask("GET", request_line))[0] == 400


async def test_registry_without_a_refresh_is_served_as_it_is(site: Site) -> None:
    await site.web.stop()
    site.web = Web(["127.0.0.1:0"], lambda: None, site.metrics.registry)
    await site.web.start()

    assert (await site.ask("GET", "/metrics"))[0] == 200
    await site.web.stop()


async def test_taken_address_is_told_and_nothing_stays_open(site: Site) -> None:
    ((host, port),) = site.web.addresses
    other = Web(["127.0.0.1:0", f"{host}:{port}"], lambda: None, site.metrics.registry)

    with pytest.raises(OSError, match="address already in use"):
        await other.start()

    assert other.addresses == []


async def test_stopping_twice_is_stopping_once(site: Site) -> None:
    await site.web.stop()
    await site.web.stop()

    assert site.web.addresses == []

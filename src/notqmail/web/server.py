"""The HTTP listener: /metrics for Prometheus and /healthz for whoever watches. Nothing else is served."""

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from notqmail.config import endpoint

KEEP_ALIVE = 15.0  # seconds an idle connection stays
REQUEST_LINE = 2048  # octets
HEADER_FIELD = 4096  # octets

Health = Callable[[], str | None]


async def _nothing() -> None:
    return None


class Web:
    """Serves on every address of `bind`. `health` says why we are not ready, or None; `refresh` is awaited before
    the numbers of `registry` are read."""

    def __init__(
        self,
        bind: Sequence[str],
        health: Health,
        registry: CollectorRegistry,
        refresh: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        self._bind, self._health = tuple(bind), health
        self._registry, self._refresh = registry, refresh
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Bind and serve; raise OSError when an address is taken, and serve nothing then."""
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.on_response_prepare.append(_plain)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=KEEP_ALIVE,
            max_line_size=REQUEST_LINE,
            max_field_size=HEADER_FIELD,
        )
        await self._runner.setup()
        try:
            for bind in self._bind:
                where = endpoint(bind)
                await web.TCPSite(self._runner, where.host, where.port).start()
        except OSError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop serving; requests in flight are answered first."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens, with the ports the system chose."""
        return [tuple(a[:2]) for a in self._runner.addresses] if self._runner else []

    async def _metrics(self, _: web.Request) -> web.Response:
        await self._refresh()
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def _healthz(self, _: web.Request) -> web.Response:
        why = self._health()
        if why is None:
            return web.Response(text="ok")
        return web.Response(status=503, text=why)


async def _plain(_: web.Request, response: web.StreamResponse) -> None:
    """Do not tell versions, do not let a proxy keep an answer."""
    response.headers["Server"] = "notqmail"
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"

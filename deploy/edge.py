"""`python -m deploy.edge`: serves the origin, over both services in this process or over services elsewhere."""

import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

import msgspec
from aiohttp import web
from litestar import Litestar

from deploy.asgi import App, fetch
from deploy.child import never
from deploy.origin import Origin
from deploy.proxy import Proxy
from shared import failpoints
from shared.env import Env
from shared.errors import SettingsError
from shared.http import HttpSettings
from shared.log import LogSettings, configure
from shared.runtime import run


class EdgeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the origin listens and what lies behind it; empty ingest and catalog URLs mean: in this process."""

    http: HttpSettings
    log: LogSettings
    metrics_port: int
    processor_url: str
    ingest_url: str = ""
    catalog_url: str = ""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "EdgeSettings":
        """Raises SettingsError that names every wrong variable."""
        env = Env(environ)
        settings = cls(
            http=HttpSettings.from_env(env, port=8000),
            log=LogSettings.from_env(env),
            metrics_port=env.integer("TRIPOD_EDGE_METRICS_PORT", 8009, least=1, most=65535),
            processor_url=env.text("TRIPOD_EDGE_PROCESSOR_URL", "http://127.0.0.1:8003"),
            ingest_url=env.text("TRIPOD_EDGE_INGEST_URL", ""),
            catalog_url=env.text("TRIPOD_EDGE_CATALOG_URL", ""),
        )
        env.check()
        return settings


def proxied(settings: EdgeSettings) -> Origin:
    """The origin over services that run elsewhere."""
    ingest, catalog = Proxy("ingest", settings.ingest_url), Proxy("catalog", settings.catalog_url)
    processor = Proxy("processor", settings.processor_url)
    services = {"ingest": ingest, "catalog": catalog}
    return Origin(services, watched={"processor": processor}, contexts=(ingest, catalog, processor))


def embedded(settings: EdgeSettings, environ: Mapping[str, str]) -> tuple[Origin, Callable[[], bool]]:
    """The origin over both services in this process, and whether one of their background tasks has died."""
    # Imported here, so that a proxying origin needs neither service.
    from services.catalog.app import create_app as create_catalog  # noqa: PLC0415
    from services.catalog.settings import CatalogSettings  # noqa: PLC0415
    from services.ingest.app import create_app as create_ingest  # noqa: PLC0415
    from services.ingest.settings import IngestSettings  # noqa: PLC0415

    apps = {
        # The catalog first: ingest waits for the counter that only the catalog makes.
        "catalog": create_catalog(CatalogSettings.from_env(environ)),
        "ingest": create_ingest(IngestSettings.from_env(environ)),
    }
    processor = Proxy("processor", settings.processor_url)
    # The framework names the same ASGI types differently.
    plain = {name: cast("App", app) for name, app in apps.items()}
    metrics = metrics_listener(settings.http.host, settings.metrics_port, plain)
    contexts: list[AbstractAsyncContextManager[Any]] = [
        processor,
        *(app.lifespan() for app in apps.values()),
        metrics,
    ]

    def failed() -> bool:
        return any(has_failed(app) for app in apps.values())

    return Origin(plain, watched={"processor": processor}, contexts=contexts), failed


def has_failed(app: Litestar) -> bool:
    background = app.state.get("background")
    return background is not None and bool(background.failed)


@asynccontextmanager
async def metrics_listener(host: str, port: int, apps: Mapping[str, App]) -> AsyncIterator[None]:
    """Serves `/<service>/metrics` of the apps in this process on a port of its own, never through the origin."""

    def page(app: App) -> Callable[[web.Request], Any]:
        async def answer(_request: web.Request) -> web.Response:
            found = await fetch(app, "/metrics")
            return web.Response(
                status=found.status, body=found.body, headers={"Content-Type": found.content_type}
            )

        return answer

    listener = web.Application()
    for name, app in apps.items():
        listener.router.add_get(f"/{name}/metrics", page(app))
    runner = web.AppRunner(listener, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()


def main() -> None:
    try:
        settings = EdgeSettings.from_env(os.environ)
        configure(settings.log, "origin")
        if settings.ingest_url and settings.catalog_url:
            origin, failed = proxied(settings), never
        else:
            failpoints.arm(os.environ)
            origin, failed = embedded(settings, os.environ)
    except SettingsError as error:
        sys.exit(f"origin: {error.detail}")
    if not run(origin, settings.http) or failed():
        sys.exit(1)


if __name__ == "__main__":
    main()

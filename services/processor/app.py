"""The processor's small HTTP port: health and metrics, and the life of the worker around it."""

import contextlib
from collections.abc import AsyncIterator

from litestar import Litestar
from prometheus_client import CollectorRegistry

from services.processor import worker
from services.processor.handlers import Deps
from services.processor.metrics import JobMetrics
from services.processor.places import Places
from services.processor.sandbox import Sandbox
from services.processor.settings import Settings
from shared.auth import Authenticator, AuthSettings
from shared.errors import Unavailable
from shared.events import jetstream, topology
from shared.http import make_app
from shared.runtime import Background
from shared.storage.s3 import S3Blobs

VERSION = "1"
_GRACE_SECONDS = 4.0  # for jobs that run when a signal comes; the others are handed to another instance


def create_app(settings: Settings) -> Litestar:
    """The app. Its lifespan connects, starts the fork server and consumes; nothing happens before."""
    registry = CollectorRegistry()
    blobs = S3Blobs(settings.s3)
    background = Background()
    parts: dict[str, jetstream.JetStreamBus] = {}

    async def check_broker() -> None:
        if not parts["bus"].connected:
            raise Unavailable("The broker is not connected.")
        await parts["bus"].last_sequence(topology.MEDIA)  # one that hangs stays connected for half a minute

    @contextlib.asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        app.state.background = background
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(blobs.close)
            parts["bus"] = bus = await jetstream.connect(settings.bus)
            stack.push_async_callback(bus.close)
            sandbox = await stack.enter_async_context(Sandbox())
            deps = Deps(
                bus=bus,
                blobs=blobs,
                sandbox=sandbox,
                places=Places(settings.jobs, spare=1),  # for fresh uploads beside bulk work
                in_hand=Places(settings.jobs + 2, spare=settings.jobs + 2),
                metrics=JobMetrics(registry),
                limits=settings.limits,
                recipes=settings.recipes,
                original_bytes=settings.original_bytes,
                films=settings.films.made(),
            )
            # A part that is down now is waited for; the bus makes its topology again on every connection.
            with contextlib.suppress(Unavailable):
                await bus.ensure(settings.bus.topology)
            with contextlib.suppress(Unavailable):
                await blobs.ensure_bucket()
            stack.push_async_callback(background.close)
            worker.start(
                background,
                deps,
                registry,
                topology=settings.bus.topology,
                jobs=settings.jobs,
                films=settings.films.jobs,
                sounds=settings.films.sounds,
                grace=_GRACE_SECONDS,
            )
            yield

    return make_app(
        service="processor",
        title="Tripod processor",
        version=VERSION,
        settings=settings.http,
        authenticator=Authenticator(AuthSettings()),  # there is no route here that asks who calls
        handlers=[],
        lifespan=lifespan,
        checks={"broker": check_broker, "store": blobs.check},
        registry=registry,
    )

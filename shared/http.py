"""What every HTTP service is made of: one app with health, metrics, CORS, problems, traces and access logs."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import msgspec
import structlog
from litestar import Litestar, Request, Response, get
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import (
    ASGIApp,
    ControllerRouterHandler,
    HTTPResponseStartEvent,
    Message,
    Receive,
    Scope,
    Send,
)
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from shared import trace
from shared.auth import ANONYMOUS, Authenticator, Caller
from shared.env import Env
from shared.errors import Unauthenticated
from shared.json_body import MOST_BYTES, JsonRequest
from shared.metrics import HttpMetrics
from shared.openapi import Described
from shared.problem import EXCEPTION_HANDLERS
from shared.socket_refusals import refusing_with_problems
from shared.wire import LimitedProtocol

log = structlog.get_logger()

Check: TypeAlias = Callable[[], Awaitable[None]]
"""Returns when a part is well, raises with the reason when it is not."""

Lifespan: TypeAlias = Callable[[Litestar], AbstractAsyncContextManager[None]]

_CHECK_SECONDS = 2.0
_EXPOSED = [
    "Accept-Ranges", "Content-Disposition", "Content-Range", "ETag", "Idempotent-Replayed", "Link", "Location",
    "Retry-After",
    "Upload-Offset", "X-Trace-Id",
]  # fmt: skip
_ALLOWED = [
    "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "If-Modified-Since",
    "Range", "If-Range", "Prefer", "Content-Digest", "Repr-Digest", "traceparent", "X-Requested-With",
]  # fmt: skip


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a service listens, how clients reach the origin, and within how many seconds a body has to make
    headway (`shared/wire.py` says how much)."""

    host: str = "127.0.0.1"
    port: int
    base_url: str = "http://localhost:8000"
    cors_origins: tuple[str, ...] = ("*",)
    stall: float = LimitedProtocol.stall_seconds

    @classmethod
    def from_env(cls, env: Env, *, port: int) -> "HttpSettings":
        origins = env.text("TRIPOD_CORS_ORIGINS", "*")
        return cls(
            host=env.text("TRIPOD_HTTP_HOST", "127.0.0.1"),
            port=env.integer("TRIPOD_HTTP_PORT", port, least=1, most=65535),
            base_url=env.url("TRIPOD_BASE_URL", "http://localhost:8000", schemes=("http", "https")),
            stall=env.seconds("TRIPOD_HTTP_STALL", LimitedProtocol.stall_seconds, least=1, most=3600),
            cors_origins=tuple(o.strip().rstrip("/") for o in origins.split(",") if o.strip()),
        )


async def provide_optional_caller(request: Request[Any, Any, Any]) -> Caller:
    """Whoever asks, ANONYMOUS included."""
    authenticator: Authenticator = request.app.state.authenticator
    return await authenticator.caller(request.headers.get("authorization"))


async def provide_lenient_caller(request: Request[Any, Any, Any]) -> Caller:
    """Whoever asks; ANONYMOUS where the token does not hold, for routes that are public whatever comes along."""
    try:
        return await provide_optional_caller(request)
    except Unauthenticated:
        return ANONYMOUS


async def provide_caller(request: Request[Any, Any, Any]) -> Caller:
    """Somebody with a token. Raises Unauthenticated."""
    caller = await provide_optional_caller(request)
    if caller.sub is None:
        raise Unauthenticated("This needs a token: send 'Authorization: Bearer <token>'.")
    return caller


def make_app(
    *,
    service: str,
    title: str,
    version: str,
    settings: HttpSettings,
    authenticator: Authenticator,
    handlers: Sequence[ControllerRouterHandler],
    lifespan: Lifespan,
    checks: Mapping[str, Check],
    registry: CollectorRegistry,
) -> Litestar:
    """The app of a service. Handlers may ask for `caller: NamedDependency[Caller]` (a token is needed)
    and `optional_caller: NamedDependency[Caller]`; parameters are `FromPath[...]` and `FromQuery[...]`."""
    app = Described(
        route_handlers=[*handlers, *_health(checks), _metrics(registry), _openapi],
        dependencies={
            "caller": Provide(provide_caller),
            "optional_caller": Provide(provide_optional_caller),
        },
        lifespan=[lifespan],
        exception_handlers=EXCEPTION_HANDLERS,
        cors_config=CORSConfig(
            allow_origins=list(settings.cors_origins),
            allow_headers=_ALLOWED,
            expose_headers=_EXPOSED,
            max_age=3600,
        ),
        openapi_config=OpenAPIConfig(
            title=title,
            version=version,
            path="/openapi",  # the framework's own pages live below it, out of the way
            render_plugins=[JsonRenderPlugin()],
            use_handler_docstrings=True,
            components=Components(
                security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
            ),
            security=[{"bearer": []}],
        ),
        logging_config=None,
        request_class=JsonRequest,
        request_max_body_size=MOST_BYTES,  # uploads read their bodies themselves and lift it on their routes
    )
    app.state.authenticator = authenticator
    # Outside of the routing, so that an unknown path is traced, counted and logged too.
    app.asgi_handler = _observe(service, HttpMetrics(registry))(app.asgi_handler)
    return app


def _health(checks: Mapping[str, Check]) -> list[ControllerRouterHandler]:
    @get("/health/live", include_in_schema=False, sync_to_thread=False)
    def live() -> dict[str, str]:
        return {"status": "alive"}

    @get("/health/ready", include_in_schema=False)
    async def ready() -> Response[dict[str, Any]]:
        found = dict(zip(checks, await asyncio.gather(*(_outcome(c) for c in checks.values())), strict=True))
        well = all(outcome == "ok" for outcome in found.values())
        return Response(
            {"status": "ready" if well else "not ready", "checks": found},
            status_code=200 if well else 503,
            headers={"Cache-Control": "no-store"},
        )

    return [live, ready]


async def _outcome(check: Check) -> str:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await check()
    except TimeoutError:
        return f"no answer within {_CHECK_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a part is the answer
        return str(error) or type(error).__name__
    return "ok"


def _metrics(registry: CollectorRegistry) -> ControllerRouterHandler:
    @get("/metrics", include_in_schema=False, sync_to_thread=True)
    def metrics() -> Response[bytes]:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST.partition("; charset")[0])

    return metrics


@get("/openapi.json", include_in_schema=False, sync_to_thread=False)
def _openapi(request: Request[Any, Any, Any]) -> dict[str, Any]:
    return request.app.openapi_schema.to_schema()


def _observe(service: str, metrics: HttpMetrics) -> Callable[[ASGIApp], ASGIApp]:
    """Middleware: the request joins its trace, is counted and timed, and leaves one line in the log."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def observed(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP:
                with trace.use(_header(scope, b"traceparent")):
                    await refusing_with_problems(app, scope, receive, send)
                return
            started = time.perf_counter()
            status = 0
            waits = _header(scope, b"expect") is not None
            with trace.use(_header(scope, b"traceparent")) as current:

                async def asked() -> Any:
                    nonlocal waits
                    waits = False
                    return await receive()

                async def noted(message: Message) -> None:
                    nonlocal status
                    if message["type"] == "http.response.start":
                        status = message["status"]
                        message["headers"] = [*message["headers"], *_common(message, current)]
                        if waits:  # whether the body comes that was not asked for, only the client knows
                            message["headers"] = _closing(message["headers"])
                    await send(message)

                try:
                    await app(scope, asked if waits else receive, noted)
                finally:
                    _account(service, metrics, scope, status, time.perf_counter() - started)

        return observed

    return wrap


def _common(message: HTTPResponseStartEvent, current: trace.Trace) -> Iterator[tuple[bytes, bytes]]:
    """What every answer carries; what does not say whether it may be kept may not."""
    yield b"x-trace-id", current.trace_id.encode()
    if not any(name.lower() == b"cache-control" for name, _ in message["headers"]):
        yield b"cache-control", b"no-store"


def _closing(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [*(header for header in headers if header[0].lower() != b"connection"), (b"connection", b"close")]


def _account(service: str, metrics: HttpMetrics, scope: Scope, status: int, seconds: float) -> None:
    route = scope.get("path_template") or "unknown"
    method = str(scope.get("method", ""))
    metrics.requests.labels(method, route, str(status)).inc()
    metrics.seconds.labels(method, route).observe(seconds)
    if not route.startswith(("/health", "/metrics")):
        # The query may hold a signature, so only the path is logged.
        log.info(
            "http.answered", service=service, method=method, path=scope["path"], status=status,
            ms=round(seconds * 1000, 1),
        )  # fmt: skip


def _header(scope: Scope, name: bytes) -> str | None:
    for key, value in scope.get("headers", []):
        if key == name:
            return str(value.decode("latin-1"))
    return None


async def chunks(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A body without its empty pieces."""
    async for piece in body:
        if piece:
            yield piece

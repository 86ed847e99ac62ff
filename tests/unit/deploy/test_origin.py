"""What the origin answers itself, and what it hands on, shown with services that are three lines long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from deploy.asgi import Answer, App, Receive, Scope, Send, fetch_all, respond
from deploy.origin import Origin, told

BROKEN = "broken"


def service(name: str) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/health/ready":
            status = 503 if name == BROKEN else 200
            await respond(send, Answer(status=status, body=b'{"status":"?"}'))
        elif scope["path"] == "/openapi.json":
            paths = b'{"/v1/uploads":{"post":{}},"/v1/media":{"get":{}}}'
            await respond(send, Answer(status=200, body=b'{"info":{"version":"1"},"paths":' + paths + b"}"))
        else:
            body = b""
            while True:
                message = await receive()
                body += message.get("body", b"")
                if not message.get("more_body"):
                    break
            await respond(
                send, Answer(status=200, body=name.encode() + b" got " + body, content_type="text/plain")
            )

    return app


def client(catalog: str = "catalog") -> httpx.AsyncClient:
    origin = Origin(
        {"ingest": service("ingest"), "catalog": service(catalog)},
        watched={"processor": service("processor")},
        contexts=(),
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=origin), base_url="http://origin")


async def test_request_reaches_its_owner_with_its_body() -> None:
    async with client() as http:
        assert (await http.post("/v1/uploads", content=b"bytes")).text == "ingest got bytes"
        assert (await http.delete("/v1/media/1")).text == "catalog got "


async def test_preflight_reaches_the_owner_of_the_method_it_asks_for() -> None:
    async with client() as http:
        asking = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}

        assert (await http.options("/v1/media/similar", headers=asking)).text == "ingest got "


@pytest.mark.parametrize(
    "path", ["/nowhere", "/metrics", "/ingest/metrics", "/docs/../nats.conf", "/docs/docs.html"]
)
async def test_unknown_path_is_a_problem_document(path: str) -> None:
    async with client() as http:
        answer = await http.get(path)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == f"Nothing is at {answer.request.url.path}."
    assert answer.headers["x-trace-id"] == answer.json()["trace_id"]


async def test_ready_names_each_service_and_is_red_when_one_is() -> None:
    async with client() as http:
        well = await http.get("/health/ready")
    async with client(BROKEN) as http:
        ill = await http.get("/health/ready")
        alive = await http.get("/health/live")

    assert (well.status_code, ill.status_code, alive.status_code) == (200, 503, 200)
    assert set(well.json()["services"]) == {"ingest", "catalog", "processor"}


async def test_a_service_that_hangs_is_named_in_time() -> None:
    async def hangs(*_: object) -> None:
        await asyncio.Event().wait()

    answers = await fetch_all({"hung": hangs, "well": service("well")}, "/health/ready", seconds=0.05)

    assert told(answers["hung"])["error"] == "TimeoutError: no answer within 0.05 s"
    assert told(answers["well"])["status"] == "?"


async def test_one_api_description_for_the_whole_origin() -> None:
    async with client() as http:
        merged = (await http.get("/openapi.json")).json()
        old = (await http.get("/docs/openapi-3.0.json")).json()

    assert set(merged["paths"]) == {"/v1/uploads", "/v1/media"}
    assert (merged["openapi"], old["openapi"]) == ("3.1.0", "3.0.3")


@pytest.mark.parametrize(
    "path",
    ["/docs", "/docs/", "/docs/docs.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/redoc",
     "/redoc/reference.js", "/redoc/schema.js", "/redoc/reference.css"],
)  # fmt: skip
async def test_pages_load_nothing_from_another_host(path: str) -> None:
    async with client() as http:
        answer = await http.get(path)

    policy = answer.headers["content-security-policy"]
    assert answer.status_code == 200
    assert "default-src 'none'" in policy
    assert "http" not in policy
    if not path.startswith("/docs/swagger-ui"):
        assert "//" not in answer.text.replace("// ", "")


async def test_services_start_in_order_and_stop_in_reverse() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def part(name: str) -> AsyncIterator[None]:
        events.append(f"{name} up")
        yield
        events.append(f"{name} down")

    sent: list[str] = []
    steps = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> dict[str, Any]:
        return {"type": next(steps)}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await Origin({}, watched={}, contexts=(part("catalog"), part("ingest")))(
        {"type": "lifespan"}, receive, send
    )

    assert events == ["catalog up", "ingest up", "ingest down", "catalog down"]
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

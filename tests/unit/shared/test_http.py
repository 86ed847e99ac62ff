"""The parts that every HTTP service has, on an app that does nothing else."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import msgspec
import pytest
from litestar import Litestar, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.testing import TestClient
from prometheus_client import CollectorRegistry

from shared.auth import Authenticator, AuthSettings, Caller
from shared.errors import Conflict, TooLarge, Unavailable
from shared.http import HttpSettings, make_app

SECRET = "a secret of the tests with more than 32 bytes"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
faults: dict[str, Exception] = {
    "conflict": Conflict("Already there.", id="42"),
    "down": Unavailable("The broker does not answer.", retry_after=5),
    "large": TooLarge("Too large.", limit=10),
    "bug": RuntimeError("the secret is swordfish"),
}


@get("/v1/fault/{name:str}")
async def fault(name: FromPath[str]) -> None:
    raise faults[name]


@get("/v1/me")
async def me(caller: NamedDependency[Caller], times: FromQuery[int] = 1) -> dict[str, Any]:
    return {"sub": caller.sub, "times": times}


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """What a route takes as its body."""

    count: int = 0
    more: dict[str, Any] = {}


@post("/v1/wishes")
async def take(data: JSONBody[Wish]) -> Wish:
    return data


@asynccontextmanager
async def nothing(_app: Litestar) -> AsyncIterator[None]:
    yield


async def well() -> None:
    return


async def ill() -> None:
    raise Unavailable("the database does not answer")


async def silent() -> None:
    await asyncio.Event().wait()


def app_with(**checks: Any) -> Litestar:
    return make_app(
        service="sample",
        title="Sample",
        version="1",
        settings=HttpSettings(port=1, cors_origins=("https://app.example",)),
        authenticator=Authenticator(AuthSettings(secret=SECRET)),
        handlers=[fault, me, take],
        lifespan=nothing,
        checks=checks or {"database": well},
        registry=CollectorRegistry(),
    )


@pytest.fixture
def client() -> Iterator[TestClient[Litestar]]:
    with TestClient(app_with(), raise_server_exceptions=False) as found:
        yield found


def bearer() -> dict[str, str]:
    return {"Authorization": f"Bearer {jwt.encode({'sub': 'u1'}, SECRET)}"}


@pytest.mark.parametrize(("name", "status", "extra"), [("conflict", 409, "id"), ("large", 413, "limit")])
def test_every_error_is_a_problem_document_with_a_detail(
    client: TestClient[Litestar], name: str, status: int, extra: str
) -> None:
    answer = client.get(f"/v1/fault/{name}")
    problem = answer.json()
    assert answer.status_code == problem["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert problem["detail"]
    assert problem["title"]
    assert problem["code"] in {"conflict", "too_large"}
    assert extra in problem


def test_an_outage_says_when_to_come_back(client: TestClient[Litestar]) -> None:
    answer = client.get("/v1/fault/down")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_a_fault_of_ours_shows_a_trace_id_and_nothing_of_the_inside(client: TestClient[Litestar]) -> None:
    answer = client.get("/v1/fault/bug")
    assert answer.status_code == 500
    assert "swordfish" not in answer.text
    assert answer.json()["trace_id"] == answer.headers["x-trace-id"]


def test_no_token_is_401_with_the_way_to_do_better(client: TestClient[Litestar]) -> None:
    answer = client.get("/v1/me")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "Authorization: Bearer" in answer.json()["detail"]
    assert client.get("/v1/me", headers=bearer()).json() == {"sub": "u1", "times": 1}


def test_a_wrong_parameter_is_named_and_the_query_is_not_repeated(client: TestClient[Litestar]) -> None:
    answer = client.get("/v1/me?times=often&signature=verysecret", headers=bearer())
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert "'times'" in answer.json()["detail"]
    assert "verysecret" not in answer.text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b"nonsense", "no JSON"),
        (b'{"count":', "no JSON"),
        (b'{"more": {"a": "\xff"}}', "UTF-8"),
        (b'{"more": {"a": ' + b"[" * 5000 + b"]" * 5000 + b"}}", "deep"),
    ],
)
def test_a_body_that_cannot_be_read_is_400_and_says_why(
    client: TestClient[Litestar], body: bytes, said: str
) -> None:
    answer = client.post("/v1/wishes", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"count": "many"}', "'count'"),
        (b'{"cuont": 1}', "cuont"),
        (b"[1]", "body: Expected `object`"),
        (b"null", "body: Expected `object`"),
    ],
)
def test_a_readable_body_of_a_wrong_type_is_422_and_names_the_field(
    client: TestClient[Litestar], body: bytes, said: str
) -> None:
    answer = client.post("/v1/wishes", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert said in answer.json()["detail"]


def test_a_body_over_the_limit_is_413_that_names_the_limit(client: TestClient[Litestar]) -> None:
    body = b'{"more": {"a": "' + b"x" * 1024 * 1024 + b'"}}'
    answer = client.post("/v1/wishes", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"], answer.json()["limit"]) == (
        413,
        "too_large",
        1024 * 1024,
    )
    assert "1048576 bytes" in answer.json()["detail"]


def test_an_unknown_path_and_a_wrong_method_are_problems_too(client: TestClient[Litestar]) -> None:
    for answer, status in ((client.get("/v1/nothing"), 404), (client.delete("/v1/me"), 405)):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]


def test_invariant_12_a_request_joins_the_trace_that_it_names(client: TestClient[Litestar]) -> None:
    answer = client.get("/v1/me", headers={"traceparent": TRACEPARENT})
    assert answer.headers["x-trace-id"] == answer.json()["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


def test_ready_only_when_every_part_is_well_and_the_others_are_named() -> None:
    with TestClient(app_with(database=well)) as client:
        assert client.get("/health/ready").json() == {"status": "ready", "checks": {"database": "ok"}}
    with TestClient(app_with(database=ill, store=silent, broker=well)) as client:
        answer = client.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json()["checks"] == {
            "database": "the database does not answer",
            "store": "no answer within 2 s",
            "broker": "ok",
        }
        assert client.get("/health/live").status_code == 200


def test_requests_are_counted_by_route_not_by_address(client: TestClient[Litestar]) -> None:
    client.get("/v1/fault/conflict")
    client.get("/v1/fault/large")
    text = client.get("/metrics").text
    assert 'route="/v1/fault/{name}",status="409"' in text
    assert "/v1/fault/conflict" not in text


def test_browsers_of_a_configured_origin_may_call_and_read_the_headers(client: TestClient[Litestar]) -> None:
    preflight = client.options(
        "/v1/me", headers={"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
    )
    assert preflight.headers["access-control-allow-origin"] == "https://app.example"
    assert "idempotency-key" in preflight.headers["access-control-allow-headers"].lower()
    answer = client.get("/v1/me", headers={"Origin": "https://app.example"})
    assert "Location" in answer.headers["access-control-expose-headers"]
    foreign = client.get("/v1/me", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in foreign.headers


async def test_an_unknown_websocket_is_refused_with_a_problem_document() -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {
        "type": "websocket",
        "path": "/v1/nowhere",
        "raw_path": b"/v1/nowhere",
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }
    await app_with()(scope, receive, send)

    assert [message["type"] for message in sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    told = msgspec.json.decode(sent[1]["body"])
    assert sent[0]["status"] == told["status"] == 404
    assert (b"x-trace-id", told["trace_id"].encode()) in sent[0]["headers"]

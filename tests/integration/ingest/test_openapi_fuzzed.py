"""Requests made up from the OpenAPI document of ingest, sound ones and broken ones: no answer is a fault of ours, and
each is one that the document tells of."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, CheckContext, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from shared import duplicates, similar
from shared.events import fingerprints, topology
from shared.events.bus import Message
from tests.integration.ingest.conftest import token
from tests.integration.ingest.small import Small, in_a_thread

OURS = ("/v1/uploads", "/v1/quota", "/v1/media/similar")
CALLERS = {"ann": token("ann"), "a service": token("shop", "service")}
"""Some parameters are read only where a service asks."""
NASTY = ("a\0b", "x" * 2000)
"""Texts that chance hardly ever finds."""


def no_fault(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """There is hardly a catalog here: 503 is right where more of it is needed for the answer, and nowhere else."""
    needless = case.path.startswith(OURS)
    if needless or response.status_code != 503 or b"catalog" not in response.content:
        not_a_server_error(ctx, response, case)


CHECKS = [
    no_fault,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


async def count(message: Message) -> bytes:
    """As much of a catalog as `GET /v1/quota` needs; no more than PostgreSQL does it take a NUL in a text."""
    owner = msgspec.json.decode(message.data)["owner"]
    assert "\0" not in owner
    return msgspec.json.encode({"bytes": 7, "objects": 1})


async def find_nothing(message: Message) -> bytes:
    """As much of a catalog as `on_duplicate` needs."""
    msgspec.json.decode(message.data, type=duplicates.Asked)
    return msgspec.json.encode(duplicates.Answered())


async def fingerprint(message: Message) -> bytes:
    """As much of a processor as `POST /v1/media/similar` needs."""
    fingerprints.read_request(message.data)
    known = fingerprints.Fingerprinted(phash="0" * 16, phash_turned=("0" * 16,) * 7, degenerate=False)
    return fingerprints.encode(known)


async def find_nothing_alike(message: Message) -> bytes:
    asked = msgspec.json.decode(message.data, type=similar.Asked)
    return msgspec.json.encode(
        similar.Neighbours(items=[], searched=tuple(look.transform for look in asked.looks))
    )


@contextlib.asynccontextmanager
async def counting(small: Small) -> AsyncIterator[None]:
    async def beat() -> None:
        while True:
            await small.bus.broadcast(topology.CATALOG_HEARTBEAT, b"")
            await asyncio.sleep(0.2)

    beating = asyncio.create_task(beat())
    async with (
        small.bus.serve(topology.CATALOG_USAGE, "catalog", count),
        small.bus.serve(topology.CATALOG_FIND_DIGEST, "catalog", find_nothing),
        small.bus.serve(topology.CATALOG_FIND_SIMILAR, "catalog", find_nothing_alike),
        small.bus.serve(topology.PROCESSOR_FINGERPRINT, "processor", fingerprint),
    ):
        yield
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)


@pytest.fixture(scope="module")
def small() -> Iterator[Small]:
    with in_a_thread(beside=counting) as made:
        yield made


def spoil(case: Case[Any], text: str) -> None:
    """Say this in every parameter of the address."""
    case.query = {**(case.query or {}), **{each.name: text for each in case.operation.query}}
    case.path_parameters = {each.name: quote(text) for each in case.operation.path_parameters}


def fuzz(small: Small, examples: int, *, ours: bool) -> dict[str, set[int]]:
    """So many requests to each operation of our own API, or of the older ones; the statuses that were seen."""
    url = f"http://127.0.0.1:{small.port}"
    schema = schemathesis.openapi.from_dict(httpx.get(f"{url}/openapi.json").json())
    seen: dict[str, set[int]] = {}

    def hold(operation: APIOperation[Any, Any, Any, Any]) -> None:
        statuses = seen.setdefault(operation.label, set())

        @settings(
            max_examples=examples,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(
            st.one_of([operation.as_strategy(generation_mode=mode) for mode in GenerationMode]),
            st.sampled_from(sorted(CALLERS)),
            st.sampled_from(["", "", *NASTY]),
        )
        def holds(case: Case[Any], who: str, nasty: str) -> None:
            if nasty:
                spoil(case, nasty)
            headers = {"Authorization": f"Bearer {CALLERS[who]}", "Prefer": "respond-async"}
            answer = case.call(base_url=url, headers=headers)
            statuses.add(answer.status_code)
            case.validate_response(answer, checks=CHECKS)

        holds()

    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        if found.ok().path.startswith(OURS) is ours:
            hold(found.ok())
    return seen


def test_no_made_up_request_to_our_own_api_finds_a_fault_or_an_untold_answer(small: Small) -> None:
    seen = fuzz(small, 20, ours=True)
    assert len(seen) >= 5
    assert all(len(statuses) > 1 for statuses in seen.values()), seen
    assert set[int]().union(*seen.values()) >= {202, 400, 401, 404, 422}, seen  # some were sound


@pytest.mark.long
@pytest.mark.parametrize("ours", [True, False], ids=["our own", "the older ones"])
def test_no_made_up_request_to_any_api_finds_a_fault_or_an_untold_answer(small: Small, *, ours: bool) -> None:
    seen = fuzz(small, 1000 if ours else 200, ours=ours)
    assert len(seen) >= (5 if ours else 15)

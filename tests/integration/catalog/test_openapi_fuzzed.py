"""Requests made up from the OpenAPI document of the catalog, sound ones and broken ones, by nobody, a user and an
admin: no answer is a fault of ours, and each is one that the document tells of."""

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import httpx
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

from tests.integration.catalog.service import Service

OURS = "/v1/"
ENDLESS = ("/v1/live",)
"""Answers that end with the caller; test_live.py has them."""
NEEDS_A_PROCESSOR = ("/v1/media/{ref}/render", "/v1/media/similar", "/v1/media/{ref}/variants/{name}")
"""There is none here, and 503 says so."""
NASTY = ("a\0b", "x" * 2000, "🙂\u202e..%")
"""Texts that chance hardly ever finds."""
NAMED = {"entity_type": "post", "entity_id": "1", "name": "thumbnail"}


def no_fault(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """503 is right where a processor is needed for the answer, and nowhere else."""
    if response.status_code != 503 or case.operation.path not in NEEDS_A_PROCESSOR:
        not_a_server_error(ctx, response, case)


CHECKS = [
    no_fault,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


class Fuzz:
    """A running catalog with media that can be named, and three kinds of callers."""

    def __init__(self, catalog: Service, refs: Sequence[str]) -> None:
        self.url = catalog.url
        self.refs = refs
        everything = ("service", "admin", "moderator")
        self.tokens = {"nobody": "", "ann": catalog.token("ann"), "admin": catalog.token("eve", *everything)}

    def name(self, case: Case[Any], ref: str) -> None:
        """Ask about something that is there."""
        known = NAMED | {"ref": ref, "media_id": ref, "id": ref}
        case.path_parameters = {
            each.name: known.get(each.name, "1") for each in case.operation.path_parameters
        }

    def spoil(self, case: Case[Any], words: str) -> None:
        """Say this in every parameter of the address."""
        case.query = {**(case.query or {}), **{each.name: words for each in case.operation.query}}
        case.path_parameters = {each.name: quote(words, safe="") for each in case.operation.path_parameters}

    def hold(self, operation: APIOperation[Any, Any, Any, Any], examples: int) -> set[tuple[str, int]]:
        """So many requests to one operation; who was answered how."""
        seen: set[tuple[str, int]] = set()

        @settings(
            max_examples=examples,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(
            st.one_of([operation.as_strategy(generation_mode=mode) for mode in GenerationMode]),
            st.sampled_from(sorted(self.tokens)),
            st.sampled_from(["as it is", *self.refs, *self.refs, *NASTY]),
        )
        def holds(case: Case[Any], who: str, how: str) -> None:
            if how in NASTY:
                self.spoil(case, how)
            elif how in self.refs:
                self.name(case, how)
            headers = {"Authorization": f"Bearer {self.tokens[who]}"} if self.tokens[who] else {}
            answer = case.call(base_url=self.url, headers=headers)
            seen.add((who, answer.status_code))
            case.validate_response(answer, checks=CHECKS)

        holds()
        return seen

    def all(self, examples: int, *, ours: bool) -> dict[str, set[tuple[str, int]]]:
        """So many requests to each operation of our own API, or of the older ones."""
        document = httpx.get(f"{self.url}/openapi.json").json()
        seen = {}
        for found in schemathesis.openapi.from_dict(document).get_all_operations():
            assert isinstance(found, Ok), found
            operation = found.ok()
            if operation.path.startswith(OURS) is ours and operation.path not in ENDLESS:
                seen[operation.label] = self.hold(operation, examples)
        return seen


async def fuzzed(catalog: Service, examples: int, *, ours: bool) -> dict[str, set[tuple[str, int]]]:
    """Of media that ann has, that all may see, and that are bob's alone."""
    kinds = ({"owner": "ann"}, {"owner": "bob", "is_public": True}, {"owner": "bob"})
    made = [await catalog.ready(**kind) for kind in kinds]
    fuzz = Fuzz(catalog, [str(upload.id) for upload in made])
    return await asyncio.to_thread(fuzz.all, examples, ours=ours)


async def test_no_made_up_request_to_our_own_api_finds_a_fault_or_an_untold_answer(catalog: Service) -> None:
    seen = await fuzzed(catalog, 5, ours=True)
    assert len(seen) >= 15
    statuses = {status for answers in seen.values() for _, status in answers}
    assert statuses >= {200, 400, 401, 403, 404, 422}, seen  # some were sound
    assert {who for answers in seen.values() for who, _ in answers} == {"nobody", "ann", "admin"}


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("ours", [True, False], ids=["our own", "the older ones"])
async def test_no_made_up_request_to_any_api_finds_a_fault_or_an_untold_answer(
    catalog: Service, *, ours: bool
) -> None:
    seen = await fuzzed(catalog, 1000 if ours else 200, ours=ours)
    assert len(seen) >= 15

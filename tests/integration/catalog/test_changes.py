"""Changing media: PATCH with its limits and conditions, reprocessing."""

import asyncio

import pytest

from shared.events.messages import ReprocessRequested
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service


async def test_a_change_is_shown_told_and_moves_the_etag(catalog: Service) -> None:
    upload = await catalog.ready()
    change = {
        "description": "d",
        "alt_text": "a",
        "caption": "c",
        "filename": "new.jpg",
        "tags": ["x", "y"],
        "metadata": {"k": {"n": 1}},
        "is_public": True,
    }
    async with catalog.caller("ann") as ann:
        before = await ann.get(f"/v1/media/{upload.id}")
        etag = before.headers["etag"]
        same = await ann.get(f"/v1/media/{upload.id}", headers={"If-None-Match": etag})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
        changed = await ann.patch(f"/v1/media/{upload.id}", json=change, headers={"If-Match": etag})
        assert changed.status_code == 200, changed.text
        assert {name: changed.json()[name] for name in change} == change
        after = await ann.get(f"/v1/media/{upload.id}", headers={"If-None-Match": etag})
        assert after.json() == changed.json()
        assert after.headers["etag"] == changed.headers["etag"] != etag
        late = await ann.patch(f"/v1/media/{upload.id}", json={"caption": "x"}, headers={"If-Match": etag})
        assert late.status_code == 412
        assert (
            await ann.patch(f"/v1/media/{upload.id}", json={}, headers={"If-Match": "*"})
        ).status_code == 200
    await catalog.told()
    last = (await catalog.stream())[-1][1]
    assert last.media == after.json()  # type: ignore[union-attr]
    assert len(await catalog.stream()) == 5  # uploaded, created, processed, updated, and the one change


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"description": "x" * 5001}, 422, "description"),
        ({"tags": [str(n) for n in range(51)]}, 422, "tags"),
        ({"owner": "bob"}, 422, "owner"),
        ({"metadata": {"a": "x" * 17000}}, 422, "16384"),
        ({"metadata": {"a": "\0"}}, 422, "U+0000"),
        ({"caption": "\0"}, 422, "U+0000"),
        ({"filename": "a/b"}, 422, "filename"),
        ({"is_primary": True}, 422, "entity"),
        ([], 422, "object"),
    ],
)
async def test_a_refused_change_says_why_and_changes_nothing(
    catalog: Service, body: object, status: int, word: str
) -> None:
    upload = stories.uploaded()
    await catalog.have(upload)
    async with catalog.caller("ann") as ann:
        before = (await ann.get(f"/v1/media/{upload.id}")).json()
        answer = await ann.patch(f"/v1/media/{upload.id}", json=body)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert word in answer.text
        assert (await ann.get(f"/v1/media/{upload.id}")).json() == before


async def test_of_many_conditional_changes_at_once_one_wins(catalog: Service) -> None:
    upload = stories.uploaded()
    await catalog.have(upload)
    async with catalog.caller("ann") as ann:
        etag = (await ann.get(f"/v1/media/{upload.id}")).headers["etag"]
        answers = await asyncio.gather(
            *(
                ann.patch(f"/v1/media/{upload.id}", json={"caption": str(n)}, headers={"If-Match": etag})
                for n in range(8)
            )
        )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7


async def test_reprocessing_is_the_next_generation_and_its_result_wins(catalog: Service) -> None:
    upload = await catalog.ready()
    async with catalog.caller("ann") as ann:
        answer = await ann.post(f"/v1/media/{upload.id}/reprocess")
        assert answer.status_code == 202
        assert (answer.json()["generation"], answer.json()["media"]["status"]) == (2, "processing")
        await catalog.told()
        (request,) = [e for _, e in await catalog.stream() if isinstance(e, ReprocessRequested)]
        assert (request.id, request.generation, request.key) == (upload.id, 2, upload.key)
        assert request.variants == stories.processed(upload).variants  # with their digests
        assert all(ref.sha256 for ref in request.variants)

        await catalog.have(stories.failed(upload, 1))
        assert (await ann.get(f"/v1/media/{upload.id}")).json()["status"] == "processing"
        await catalog.have(stories.processed(upload, 2))
        shown = (await ann.get(f"/v1/media/{upload.id}")).json()
    assert (shown["status"], shown["width"]) == ("ready", 402)

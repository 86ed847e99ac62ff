"""Filters of the media library: what each operator lets through, in which order and pages, and what is refused."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest

from services.catalog import filtered
from tests.fixtures.openapi import check
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service

FILTER, PAGINATED = "/media/filter", "/media/filter/paginated"
DAY = datetime(2024, 5, 17, 12, tzinfo=UTC)
FILES: dict[str, dict[str, Any]] = {
    "a cat": {
        "owner": "7", "filename": "Cat_1.jpg", "size": 100, "description": "A cat, 100% asleep", "is_public": True,
        "created_at": DAY,
    },
    "a dog": {
        "owner": "somebody", "owner_uid": 8, "filename": "dog.PNG", "mime_type": "image/png", "size": 200,
        "alt_text": "x_y", "is_public": True, "created_at": DAY.replace(day=18),
    },
    "a paper": {
        "owner": "7", "owner_uid": 9, "filename": "paper.pdf", "mime_type": "application/pdf", "size": 300,
        "media_type": "document", "created_at": DAY.replace(day=19),
    },
    "a song": {
        "owner": "anonymous", "filename": "song.mp3", "mime_type": "audio/mpeg", "media_type": "audio", "size": 400,
        "description": "", "created_at": DAY.replace(day=20),
    },
}  # fmt: skip
ALL = list(FILES)[::-1]
YES, NO = True, False


WRONG: list[dict[str, Any]] = [
    {"limit": 0}, {"limit": -1}, {"limit": 1001}, {"limit": 10**9}, {"offset": -1}, {"offset": 2**53},
    {"operator": "xor"}, {"order_direction": "up"}, {"order_by": "owner"}, {"conditions": {}}, {"conditions": "all"},
]  # fmt: skip


@pytest.fixture
async def files(catalog: Service) -> dict[str, int]:
    """The numbers of the files; one of another API is there as well."""
    events = {
        name: stories.uploaded(**{"profile": "library", "sha256": f"{i:064x}", **said})
        for i, (name, said) in enumerate(FILES.items())
    }
    foreign = stories.uploaded("7", is_public=True, filename="Cat_1.jpg")
    places = [await catalog.tell(event) for event in (foreign, *events.values())]
    await asyncio.gather(*map(catalog.settled, places))
    return {name: event.number for name, event in events.items()}


@pytest.fixture
async def staff(catalog: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with catalog.caller("somebody of the staff", "service") as client:
        yield client


def one(field: str, operator: str, *value: Any) -> dict[str, Any]:
    return {"field": field, "operator": operator, **({"value": value[0]} if value else {})}


async def found(client: httpx.AsyncClient, files: dict[str, int], **query: Any) -> list[str]:
    answer = await client.post(FILTER, json=query)
    assert answer.status_code == 200, answer.text
    names = {number: name for name, number in files.items()}
    return [names[file["id"]] for file in answer.json()]


ASKED: list[tuple[dict[str, Any], list[str]]] = [
    (one("file_type", "eq", "image"), ["a dog", "a cat"]),
    (one("file_type", "ne", "image"), ["a song", "a paper"]),
    (one("file_type", "in", ["audio", "video"]), ["a song"]),
    (one("file_type", "not_in", ["audio", "image"]), ["a paper"]),
    (one("is_public", "eq", YES), ["a dog", "a cat"]),
    (one("is_public", "ne", YES), ["a song", "a paper"]),
    (one("file_size", "gt", 200), ["a song", "a paper"]),
    (one("file_size", "gte", 200), ["a song", "a paper", "a dog"]),
    (one("file_size", "lt", 200), ["a cat"]),
    (one("file_size", "lte", "200"), ["a dog", "a cat"]),
    (one("file_size", "between", [200, 300]), ["a paper", "a dog"]),
    (one("file_size", "in", 300.0), ["a paper"]),
    (one("user_id", "eq", 7), ["a paper", "a cat"]),
    (one("user_id", "eq", 9), []),
    (one("user_id", "eq", "8"), ["a dog"]),
    (one("user_id", "ne", 7), ["a dog"]),
    (one("user_id", "in", [8, 9]), ["a dog"]),
    (one("user_id", "not_in", [8]), ["a paper", "a cat"]),
    (one("user_id", "gt", 7), ["a dog"]),
    (one("user_id", "is_null"), ["a song"]),
    (one("user_id", "eq", None), ["a song"]),
    (one("user_id", "ne", None), ["a paper", "a dog", "a cat"]),
    (one("filename", "eq", "dog.PNG"), ["a dog"]),
    (one("filename", "contains", "at_"), ["a cat"]),
    (one("filename", "contains", "AT"), []),
    (one("filename", "icontains", "AT_1"), ["a cat"]),
    (one("filename", "startswith", "paper"), ["a paper"]),
    (one("filename", "starts_with", "paper"), ["a paper"]),
    (one("filename", "endswith", ".PNG"), ["a dog"]),
    (one("filename", "ends_with", ".png"), []),
    (one("filename", "like", "%.P%"), ["a dog"]),
    (one("filename", "ilike", "%.P%"), ["a paper", "a dog"]),
    (one("filename", "like", "\\"), []),
    (one("filename", "is_null"), []),
    (one("filename", "is_not_null"), ALL),
    (one("mime_type", "startswith", "image/"), ["a dog", "a cat"]),
    (one("mime_type", "like", "%/p%"), ["a paper", "a dog"]),
    (one("description", "is_null", None), ["a paper", "a dog"]),
    (one("description", "is_not_null"), ["a song", "a cat"]),
    (one("description", "icontains", "100% A"), ["a cat"]),
    (one("description", "icontains", "%"), ["a cat"]),
    (one("description", "eq", ""), ["a song"]),
    (one("description", "ne", ""), ["a cat"]),
    (one("description", "not_in", [""]), ["a cat"]),
    (one("alt_text", "icontains", "X_"), ["a dog"]),
    (one("alt_text", "icontains", "__"), []),
    (one("created_at", "gte", "2024-05-19T12:00:00"), ["a song", "a paper"]),
    (one("created_at", "lt", "2024-05-18"), ["a cat"]),
    (one("created_at", "between", ["2024-05-18T00:00:00Z", "2024-05-19T14:00:00+02:00"]), ["a paper", "a dog"]),
    (one("updated_at", "gt", "2024-05-19 13:00"), ["a song"]),
    (one("filename", "eq", "'; DROP TABLE media; --"), []),
    (one("id", "lt", 0), []),
    (one("id", "eq", 2**62), []),
]  # fmt: skip


async def test_every_operator_lets_through_what_it_says(
    staff: httpx.AsyncClient, files: dict[str, int]
) -> None:
    told = await asyncio.gather(*(found(staff, files, conditions=[asked]) for asked, _ in ASKED))
    assert [(asked, names) for (asked, _), names in zip(ASKED, told, strict=True)] == ASKED
    for name, number in files.items():
        assert await found(staff, files, conditions=[one("id", "eq", number)]) == [name]
    some = [files["a cat"], files["a song"], 2**60]
    assert await found(staff, files, conditions=[one("id", "in", some)]) == ["a song", "a cat"]
    nothings: tuple[Any, ...] = (None, [], [{"conditions": []}])
    for nothing in nothings:
        assert await found(staff, files, conditions=nothing) == ALL
    assert await found(staff, files) == ALL


async def test_conditions_hold_together_or_one_is_enough_in_groups_of_groups(
    staff: httpx.AsyncClient, files: dict[str, int]
) -> None:
    big, cat = one("file_size", "gt", 250), one("filename", "icontains", "cat")
    mine = one("user_id", "eq", 7)
    assert await found(staff, files, conditions=[big, mine]) == ["a paper"]
    assert await found(staff, files, conditions=[big, cat], operator="or") == ["a song", "a paper", "a cat"]
    group = {"conditions": [big, cat], "operator": "or"}
    assert await found(staff, files, conditions=[mine, group]) == ["a paper", "a cat"]
    inner = {
        "conditions": [{"conditions": [big, mine]}, {"conditions": [cat], "operator": "or"}],
        "operator": "or",
    }
    assert await found(staff, files, conditions=[inner, one("file_size", "lt", 1000)]) == ["a paper", "a cat"]


async def test_every_field_orders_and_pages_together_are_the_list(
    staff: httpx.AsyncClient, files: dict[str, int]
) -> None:
    by_name = ["a cat", "a dog", "a paper", "a song"]
    apart, alike = ("id", "filename", "file_size", "created_at", "updated_at"), (
        "mime_type", "file_type", "description", "alt_text", "user_id", "is_public",
    )  # fmt: skip
    up = await asyncio.gather(*(found(staff, files, order_by=field) for field in (*apart, *alike)))
    assert up[: len(apart)] == [by_name] * len(apart)
    assert [sorted(names) for names in up] == [by_name] * len(up)
    down = (found(staff, files, order_by=field, order_direction="desc") for field in apart)
    assert await asyncio.gather(*down) == [by_name[::-1]] * len(apart)
    assert set(await found(staff, files, order_by="user_id", limit=2)) == {"a cat", "a paper"}
    assert await found(staff, files, order_direction="asc") == by_name
    for offset in (0, 1, 2, 3, 5):
        page = {"order_by": "file_size", "limit": 2, "offset": offset}
        answer = (await staff.post(PAGINATED, json=page)).json()
        assert set(answer) == {"data", "total", "limit", "offset", "has_more"}
        assert [file["id"] for file in answer["data"]] == [
            files[name] for name in by_name[offset : offset + 2]
        ]
        assert [answer[name] for name in ("total", "limit", "offset", "has_more")] == [
            4,
            2,
            offset,
            offset < 2,
        ]
    empty = (await staff.post(PAGINATED, json={"offset": 10**12, "limit": None})).json()
    assert empty == {"data": [], "total": 4, "limit": 100, "offset": 10**12, "has_more": False}


async def test_a_filter_finds_and_counts_what_the_caller_may_see_alone(
    catalog: Service, files: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with catalog.caller("7") as seven:
        assert await found(catalog.nobody, files) == ["a dog", "a cat"]
        assert await found(seven, files) == ["a paper", "a dog", "a cat"]
        assert await found(catalog.nobody, files, conditions=[one("user_id", "eq", 7)]) == ["a cat"]
        assert await found(catalog.nobody, files, conditions=[one("id", "in", [*files.values()])]) == [
            "a dog", "a cat",
        ]  # fmt: skip
        hidden = one("is_public", "eq", NO)
        assert (await catalog.nobody.post(PAGINATED, json={"conditions": [hidden]})).json()["total"] == 0
        assert (await seven.post(PAGINATED, json={"conditions": [hidden]})).json()["total"] == 1
        # Not few enough to look at each by its number.
        monkeypatch.setattr("services.catalog.candidates.RARE", 0)
        assert await found(catalog.nobody, files) == ["a dog", "a cat"]
        assert await found(seven, files, conditions=[hidden]) == ["a paper"]
        assert (await seven.post(PAGINATED, json={})).json()["total"] == 3
        monkeypatch.setattr(filtered, "MOST_LOOKS", 1)
        two = {"conditions": [hidden, one("user_id", "eq", 7)]}
        refused = await seven.post(FILTER, json=two)
        assert refused.status_code == 422
        assert "2 conditions may be asked of at most 0 files" in refused.json()["detail"]


async def test_a_file_is_found_by_the_times_that_its_own_record_shows(catalog: Service) -> None:
    """To the microsecond: else what a client has read would equal nothing, and `gt` would find it again."""
    upload = await catalog.ready("bob", profile="library", is_public=True)
    record = (await catalog.nobody.get(f"/media/{upload.number}")).json()
    names = {"it": upload.number}
    for field in ("created_at", "updated_at"):
        shown = record[field]
        assert datetime.fromisoformat(shown).microsecond, "the stories have times between the seconds"
        for operator, value in (
            ("eq", shown),
            ("in", [shown]),
            ("gte", shown),
            ("lte", shown),
            ("between", [shown] * 2),
        ):
            asked = [one(field, operator, value), one("id", "eq", upload.number)]
            assert await found(catalog.nobody, names, conditions=asked) == ["it"], (field, operator)
        for operator in ("gt", "lt", "ne"):
            asked = [one(field, operator, shown), one("id", "eq", upload.number)]
            assert await found(catalog.nobody, names, conditions=asked) == [], (field, operator)


async def test_what_cannot_be_answered_is_refused(catalog: Service) -> None:
    unknown = await catalog.nobody.post(FILTER, json={"conditions": [one("owner", "eq", "x")]})
    assert (unknown.status_code, unknown.json()["field"]) == (422, "conditions[0].field")
    assert "id, filename, file_size" in unknown.json()["detail"]
    deep = b'{"conditions":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    lone = b'{"conditions": [{"field": "filename", "operator": "eq", "value": "\\ud800"}]}'
    for body, statuses in (
        (b"{", {400}), (deep, {400}), (b'{"conditions": ["\xff"]}', {400}), (lone, {400, 422}),
        (b" " * 1_048_577, {413}), *((msgspec.json.encode(wrong), {422}) for wrong in WRONG),
    ):  # fmt: skip
        answer = await catalog.nobody.post(FILTER, content=body)
        assert answer.status_code in statuses, (body[:100], answer.text)
    assert "half of a character" in (await catalog.nobody.post(FILTER, content=lone)).json()["detail"]


async def test_every_answer_of_filters_is_told_of(catalog: Service) -> None:
    document = (await catalog.nobody.get("/openapi.json")).json()
    for path in (FILTER, PAGINATED):
        for request, status in (
            ({"json": {}}, 200),
            ({"json": {"limit": 0}}, 422),
            ({"content": b"{"}, 400),
            ({"json": {}, "headers": {"Authorization": "Bearer x"}}, 401),
        ):
            answer = await catalog.nobody.post(path, **request)
            assert answer.status_code == status, answer.text
            check(document, "POST", path, answer)

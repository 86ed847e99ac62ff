"""The filter language: PostgreSQL lets through exactly what a plain reading of the filter lets through."""

import math
import random
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from services.catalog import candidates
from services.catalog.candidates import Search
from services.catalog.database import Database
from services.catalog.filters.compiled import compiled
from services.catalog.filters.fields import FIELDS, Field, Kind
from services.catalog.filters.language import read
from services.catalog.models import media
from services.catalog.orders import ORDERS
from services.catalog.schemas import SearchSort
from shared.auth import Caller
from shared.dialects.users import uuid_id
from shared.ids import new_id

START = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = ["", "sea", "Sea at 50%", "a_b", "axb", "back\\slash", "Ärger", "x" * 40, "100%"]
TAGS = ["sea", "sun", "Ärger", "a_b"]
NUMBERS = [0, 1, 2, 2.5, 100, 1e300, -7]
PLACES = [(0.0, 0.0), (52.5, 13.4), (52.6, 13.5), (-17.8, 178.0), (-17.0, -179.5), (90.0, 0.0), (48.1, 11.6)]
LOCAL_TIMES = ["2026-01-31T12:00:00", "2026-01-31T12:00:00+02:00", "2025-12-24T18:30:00"]
OWN = "ann"


def some_row(number: int, chance: random.Random) -> dict[str, Any]:
    """One that has about half of what it may have."""

    def maybe(choices: list[Any]) -> Any:
        return chance.choice([*choices, *[None] * len(choices)])

    place = maybe(PLACES)
    exif = {
        "camera_make": maybe(WORDS),
        "iso": maybe([100, 200, 2.5, "much"]),
        "lens": maybe(WORDS),
        "gps": {"latitude": place[0], "longitude": place[1]} if place else None,
    }
    entity = maybe([("persona", "1"), ("post", "007")])
    owner = chance.choice([OWN, "bob"])
    return {
        "id": new_id(),
        "number": number,
        "owner": owner,
        "owner_uuid": uuid_id(owner),
        "profile": chance.choice(["default", "avatar"]),
        "recipe": "standard",
        "key": "k",
        "filename": chance.choice(WORDS[1:]),
        "mime_type": chance.choice(["image/png", "image/jpeg", "video/mp4"]),
        "media_type": chance.choice(["image", "video"]),
        "size": chance.choice([0, 1, 100, 2**40]),
        "sha256": chance.choice(["0" * 64, "f" * 64]),
        "created_at": START + timedelta(seconds=chance.randrange(5)),
        "is_public": chance.random() < 0.5,
        "entity_type": entity and entity[0],
        "entity_id": entity and entity[1],
        "entity_field": maybe(["photo"]),
        "is_primary": chance.random() < 0.5,
        "sort_order": chance.choice([0, 1, -7]),
        "description": maybe(WORDS),
        "alt_text": maybe(WORDS),
        "caption": maybe(WORDS),
        "tags": chance.sample(TAGS, chance.randrange(3)),
        "metadata": chance.choice([{}, {"a": 1}, {"a": {"b": [1, 2]}, "c": None}]),
        "moderation": chance.choice(["approved", "flagged"]),
        "generation": 1,
        "status": chance.choice(["ready", "failed"]),
        "status_at": START + timedelta(seconds=chance.randrange(5)),
        "error_code": maybe(["truncated"]),
        "width": maybe([1, 100]),
        "height": maybe([1, 100]),
        "duration": maybe([2.5, 1e300]),
        "bitrate": maybe([100]),
        "exif": {name: value for name, value in exif.items() if value is not None},
        "taken_at": maybe(LOCAL_TIMES),
    }


ROWS = [some_row(number, random.Random(number)) for number in range(1, 81)]


def of_row(row: Mapping[str, Any], name: str) -> Any:
    """What a person reads in the row under that name."""
    if name == "gps":
        return row["exif"].get("gps") if row["owner"] == OWN else None
    if name.startswith("exif."):
        found = row["exif"].get(name[5:])
        return None if FIELDS[name].kind == "number" and isinstance(found, str) else found
    if name == "taken_at":
        return row["taken_at"] and row["taken_at"][:19]
    return max(row["created_at"], row["status_at"]) if name == "updated_at" else row[name]


def metres(first: tuple[float, float], second: tuple[float, float]) -> float:
    """The great circle between two points, by the angle between their vectors."""

    def vector(point: tuple[float, float]) -> tuple[float, float, float]:
        up, along = map(math.radians, point)
        return math.cos(up) * math.cos(along), math.cos(up) * math.sin(along), math.sin(up)

    one, other = vector(first), vector(second)
    return 6_371_008.8 * 2 * math.asin(min(1.0, math.dist(one, other) / 2))


def within(place: Mapping[str, float], asked: Mapping[str, Any]) -> bool:
    latitude, longitude = place["latitude"], place["longitude"]
    if "near" in asked:
        return bool(metres((latitude, longitude), tuple(asked["near"])) <= asked["radius"])
    south, west, north, east = asked["box"]
    across = west <= longitude <= east if west <= east else longitude >= west or longitude <= east
    return bool(south <= latitude <= north) and bool(across)


def like(value: str, pattern: str) -> bool:
    """SQL's LIKE without regard to case."""
    said, rest = "", iter(pattern)
    for character in rest:
        if character == "\\":
            said += re.escape(next(rest, "\\"))
        else:
            said += {"%": ".*", "_": "."}.get(character, re.escape(character))
    return re.fullmatch(said, value, re.IGNORECASE | re.DOTALL) is not None


def holds(have: Any, asked: Any) -> bool:
    """Whether JSON contains other JSON, as PostgreSQL means it."""
    if isinstance(asked, dict):
        return isinstance(have, dict) and all(k in have and holds(have[k], v) for k, v in asked.items())
    if isinstance(asked, list):
        return isinstance(have, list) and all(any(holds(h, a) for h in have) for a in asked)
    return type(have) is type(asked) and bool(have == asked)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


PLAIN: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda have, asked: have == asked,
    "ne": lambda have, asked: have != asked,
    "gt": lambda have, asked: have > asked,
    "gte": lambda have, asked: have >= asked,
    "lt": lambda have, asked: have < asked,
    "lte": lambda have, asked: have <= asked,
    "between": lambda have, asked: asked[0] <= have <= asked[1],
    "in": lambda have, asked: have in asked,
    "nin": lambda have, asked: have not in asked,
    "contains": lambda have, asked: (
        set(listed(asked)) <= set(have)
        if isinstance(have, list)
        else holds(have, asked)
        if isinstance(have, dict)
        else asked in have
    ),
    "starts_with": lambda have, asked: have.startswith(asked),
    "ilike": like,
    "overlaps": lambda have, asked: bool(set(listed(asked)) & set(have)),
    "within": within,
}


def fulfils(row: Mapping[str, Any], said: Mapping[str, Any]) -> bool:
    """The plain reading of a filter."""
    if "and" in said:
        return all(fulfils(row, part) for part in said["and"])
    if "or" in said:
        return any(fulfils(row, part) for part in said["or"])
    if "not" in said:
        return not fulfils(row, said["not"])
    have, operator, asked = of_row(row, said["field"]), said["operator"], said["value"]
    if operator == "is_null":
        return (have is None) is asked
    if have is None:
        return operator in {"ne", "nin"}
    return PLAIN[operator](comparable(have), comparable(asked))


def comparable(value: Any) -> Any:
    """Texts of times and ids as what they mean."""
    if isinstance(value, list):
        return [comparable(one) for one in value]
    if value == "2025-12-24 18:30:00":
        return value.replace(" ", "T")
    if isinstance(value, str):
        for reading in (uuid.UUID, datetime.fromisoformat):
            try:
                found = reading(value) if len(value) > 19 else value
            except ValueError:
                continue
            if isinstance(found, uuid.UUID) or getattr(found, "tzinfo", None):
                return found
    return value


NEAR = st.fixed_dictionaries(
    {"near": st.sampled_from(PLACES).map(list), "radius": st.sampled_from([1, 20_000, 500_000, 1.5e7])}
)
BOX = st.sampled_from([[50, 10, 53, 14], [-20, 170, 0, -170], [-90, -180, 90, 180]])
WHOLE = st.sampled_from([0, 1, 2, 100, -7, 2**40, 2**62])
VALUES: Mapping[Kind, st.SearchStrategy[Any]] = {
    "whole": WHOLE,
    "number": WHOLE | st.sampled_from(NUMBERS),
    "moment": st.integers(-1, 6).map(lambda s: (START + timedelta(seconds=s)).isoformat()),
    "local_time": st.sampled_from(["2026", "2026-01-31", "2026-01-31T12:00:00", "2025-12-24 18:30:00"]),
    "flag": st.booleans(),
    "id": st.sampled_from([str(row["id"]) for row in ROWS]),
    "object": st.sampled_from([{"a": 1}, {"a": {"b": [2]}}, {"c": None}, {"b": 1}, {"a": {}}]),
    "place": NEAR | st.fixed_dictionaries({"box": BOX}),
    "tags": st.sampled_from(TAGS) | st.lists(st.sampled_from(TAGS), min_size=1),
}


def values(name: str, field: Field) -> st.SearchStrategy[Any]:
    """What may be asked of this field, as JSON says it."""
    if field.choices:
        return st.sampled_from(field.choices)
    found = [value for row in ROWS if isinstance(value := of_row(row, name), str)]
    return VALUES[field.kind] if field.kind in VALUES else st.sampled_from([*WORDS, *found])


def conditions() -> st.SearchStrategy[dict[str, Any]]:
    def ask(name: str) -> st.SearchStrategy[dict[str, Any]]:
        field = FIELDS[name]

        def value(operator: str) -> st.SearchStrategy[dict[str, Any]]:
            one = values(name, field)
            asked = {
                "is_null": st.booleans(),
                "in": st.lists(one, min_size=1, max_size=3),
                "nin": st.lists(one, min_size=1, max_size=3),
                "between": st.lists(one, min_size=2, max_size=2),
                "ilike": st.sampled_from(["sea%", "%A%", "a_b", "a\\_b", "100\\%", "%\\", "%\\\\%", "ärger"]),
            }.get(operator, one)
            return st.fixed_dictionaries(
                {"field": st.just(name), "operator": st.just(operator), "value": asked}
            )

        return st.sampled_from(field.operators).flatmap(value)

    return st.sampled_from(list(FIELDS)).flatmap(ask)


FILTERS = st.recursive(
    conditions(),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"and": parts})
        | st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"or": parts})
        | inner.map(lambda part: {"not": part})
    ),
    max_leaves=6,
)


@pytest.fixture
async def filled(database: Database) -> Database:
    async with database.writing() as connection:
        await connection.execute(media.insert(), ROWS)
    return database


async def test_the_database_lets_through_what_a_plain_reading_lets_through(filled: Database) -> None:
    asked: list[dict[str, Any]] = []

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(FILTERS)
    def collect(said: dict[str, Any]) -> None:
        asked.append(said)

    collect()
    matches = 0
    async with filled.reading() as connection:
        for said in asked:
            condition = compiled(read(said), private=media.c.owner == OWN)
            found = set(await connection.scalars(select(media.c.number).where(condition)))
            assert found == {row["number"] for row in ROWS if fulfils(row, said)}, said
            matches += 0 < len(found) < len(ROWS)
    assert matches > len(asked) / 4  # most filters of the others let all through, or nothing


@pytest.mark.parametrize("rare", [1000, 2])
async def test_searches_find_what_a_plain_reading_lets_through_of_what_the_caller_may_see(
    filled: Database, monkeypatch: pytest.MonkeyPatch, rare: int
) -> None:
    monkeypatch.setattr(candidates, "RARE", rare)
    asked: list[tuple[dict[str, Any], SearchSort]] = []

    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(FILTERS, st.sampled_from(sorted(ORDERS)))
    def collect(said: dict[str, Any], sort: SearchSort) -> None:
        asked.append((said, sort))

    collect()
    seen = [
        row for row in ROWS if row["owner"] == OWN or (row["is_public"] and row["moderation"] == "approved")
    ]
    async with filled.reading() as connection:
        for said, sort in [
            *asked,
            ({"field": "metadata", "operator": "contains", "value": {"a": 1}}, "size"),
        ]:
            search = Search(caller=Caller(sub=OWN), asked=read(said), sort=sort, limit=200)
            found = await candidates.find(connection, search)
            assert set(found.ids) == {row["id"] for row in seen if fulfils(row, said)}, said

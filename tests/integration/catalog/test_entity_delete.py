"""What becomes of the media of each profile when its entity goes."""

from services.catalog import departures, registry
from services.catalog.database import Database
from services.catalog.projector import project
from services.catalog.settings import cascading
from shared.entities import Entity
from shared.env import Env
from shared.profiles import load
from tests.integration.catalog import stories
from tests.integration.catalog.service import all_rows

BASE = "http://origin.test"
PROFILES = load(Env({}))
CASCADES = {"persona"}


async def test_media_of_each_profile_is_deleted_or_left_to_its_owner_as_the_profile_says(
    database: Database,
) -> None:
    uploads = {name: stories.uploaded(profile=name, entity=stories.link("1")) for name in PROFILES}
    await registry.put_entity(database, Entity(type="post", id="1", owners=("ann",)))
    for sequence, event in enumerate(uploads.values(), 1):
        await project(database, event, sequence=sequence, base_url=BASE)
    await registry.delete_entity(database, "post", "1", cascading=cascading(PROFILES), base_url=BASE)
    left = {row["profile"]: (row["entity_type"], row["owner"]) for row in await all_rows(database, "media")}
    assert left == {name: (None, "ann") for name in PROFILES if name not in CASCADES}
    late = {name: stories.uploaded(profile=name, entity=stories.link("1")) for name in PROFILES}
    for sequence, event in enumerate(late.values(), 100):
        await project(database, event, sequence=sequence, base_url=BASE, cascading=cascading(PROFILES))
    hung = [row for row in await all_rows(database, "media") if row["entity_type"]]
    assert hung == []
    assert {row["media_id"] for row in await all_rows(database, "tombstones")} == {
        told[name].id for told in (uploads, late) for name in CASCADES
    }


async def test_all_that_a_user_owns_goes_with_them_whatever_its_profile(database: Database) -> None:
    for sequence, name in enumerate(PROFILES, 1):
        await project(database, stories.uploaded(profile=name), sequence=sequence, base_url=BASE)
    kept = stories.uploaded("bob")
    await project(database, kept, sequence=500, base_url=BASE)
    assert await departures.delete_user(database, "ann") == len(PROFILES)
    assert [row["id"] for row in await all_rows(database, "media")] == [kept.id]

"""Many media at once: deleted, tagged, moved, published. Each stands alone and answers for itself.

They go in chunks, each one transaction with its events: a thousand media are ten commits. What a chunk cannot do for
want of the database is told of its media alone; the same request once more does the rest.
"""

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET
from sqlalchemy import Uuid, any_, bindparam, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import commands, edits, outbox, registry, rights, rows, slots
from services.catalog.batch_schemas import BatchAnswer, BatchItem, BatchTag, Place
from services.catalog.database import Database, lock_all_media
from services.catalog.models import media
from services.catalog.queries import absent
from services.catalog.row_security import restricted
from services.catalog.rows import Record, shaped_for
from services.catalog.schemas import MediaPatch
from services.catalog.sight import is_public
from services.catalog.slots import Slot
from shared import problem
from shared.attaching import check_attach, check_hung_on
from shared.auth import Caller
from shared.entities import Entity, check_name
from shared.errors import Conflict, Forbidden, Invalid, TripodError
from shared.events.messages import EntityLink
from shared.fields import check_tags
from shared.ids import parse_ref, public_id
from shared.profiles import Profile, Profiles

AT_ONCE = 100
"""Media in one transaction."""

Change: TypeAlias = Callable[[Record], Mapping[str, Any]]
"""The columns that are to differ. Raises TripodError for a media that is not to be changed."""
Refusals: TypeAlias = dict[uuid.UUID, TripodError]
Work: TypeAlias = Callable[[AsyncConnection, Sequence[uuid.UUID]], Awaitable[Refusals]]


async def each(database: Database, refs: Sequence[str], work: Work, *, done: int) -> BatchAnswer:
    """What became of each media, in the order given and once, whatever it was called. `work` does a chunk in one
    transaction, and says which it refused; `done` is the status of the others."""
    ids = {ref: parse_ref(ref) for ref in refs}
    known = list(dict.fromkeys(media_id for media_id in ids.values() if media_id is not None))
    refused: Refusals = {}
    for first in range(0, len(known), AT_ONCE):
        chunk = known[first : first + AT_ONCE]
        try:
            async with database.writing() as connection:
                refused |= await work(connection, chunk)
        except TripodError as error:
            refused |= dict.fromkeys(chunk, error)
    items, told = [], set()
    for ref, media_id in ids.items():
        if media_id is None or media_id not in told:
            told.add(media_id)
            reason = absent(ref) if media_id is None else refused.get(media_id)
            items.append(_item(ref, media_id, reason, done))
    failed = sum(item.problem is not None for item in items)
    return BatchAnswer(items=items, succeeded=len(items) - failed, failed=failed)


def _item(ref: str, media_id: uuid.UUID | None, error: TripodError | None, done: int) -> BatchItem:
    if error is None:
        return BatchItem(ref=ref, id=media_id, status=done)
    shown = problem.document(error)
    told = {name: shown[name] for name in problem.Problem.__struct_fields__ if name in shown}
    return BatchItem(ref=ref, id=media_id, status=error.status, problem=problem.Problem(**told))


def deleting(caller: Caller) -> Work:
    """Each as DELETE would."""

    async def work(connection: AsyncConnection, ids: Sequence[uuid.UUID]) -> Refusals:
        await lock_all_media(connection, ids)
        found, refused = await _own(connection, caller, ids)
        await commands.bury_all(connection, list(found.values()))
        return refused

    return work


def changing(caller: Caller, change: Change, *, base_url: str) -> Work:
    """Each by its own columns; one that has them already stays untouched, and nobody is told of it."""

    async def work(connection: AsyncConnection, ids: Sequence[uuid.UUID]) -> Refusals:
        await lock_all_media(connection, ids)
        found, refused = await _own(connection, caller, ids)
        return refused | await _change(connection, found, change, base_url)

    return work


def publishing(*, is_public: bool) -> Change:
    patch = MediaPatch(is_public=is_public)
    return lambda row: edits.columns(patch, row)


def tagging(asked: BatchTag) -> Change:
    """Raises Invalid for tags that no media can have, and for a `set` beside the others."""
    if asked.set is not UNSET:
        if asked.add or asked.remove:
            raise Invalid(
                "`set` is all that the media are to have; leave out `add` and `remove`.", field="set"
            )
        patch = MediaPatch(tags=check_tags(asked.set))
        return lambda row: edits.columns(patch, row)
    if not asked.add and not asked.remove:
        raise Invalid("Nothing is asked for: give `add`, `remove` or `set`.", field="add")
    add, remove = check_tags(asked.add), {tag.strip() for tag in asked.remove}
    if both := [tag for tag in add if tag in remove]:
        raise Invalid(f"The tag {both[0]!r} is to be added and removed.", field="add")

    def change(row: Record) -> Mapping[str, Any]:
        tags = (*(tag for tag in row["tags"] if tag not in remove), *add)
        return edits.columns(MediaPatch(tags=tuple(dict.fromkeys(tags))), row)

    return change


def moving(caller: Caller, to: Place | None, profiles: Profiles, *, base_url: str) -> Work:
    """Each to another entity, or off its own. The caller must be allowed to hang media of its profile there; a slot
    that holds one media and has it takes no other. Raises Invalid for what can be no entity."""
    if to is not None:
        check_name(to.type, to.id)
    link = None if to is None else EntityLink(type=to.type, id=to.id, field=to.field)

    async def work(connection: AsyncConnection, ids: Sequence[uuid.UUID]) -> Refusals:
        taken = await _lock_slots(connection, ids, link, profiles)
        found, refused = await _own(connection, caller, ids)
        entity = await _living(connection, link)

        def change(row: Record) -> Mapping[str, Any]:
            columns = _place(link)
            if all(row[name] == columns[name] for name in ("entity_type", "entity_id", "entity_field")):
                return {}
            if link is not None:
                profile = _profile(profiles, row)
                check_hung_on(link, profile, row["profile"])
                check_attach(caller, link, entity, profile)
                if profile.single and taken.setdefault(row["profile"], row["id"]) != row["id"]:
                    raise Conflict(
                        f"{link.type}/{link.id} has one {link.field or row['profile']} already; delete that first, "
                        "or upload in its place."
                    )
            return columns

        return refused | await _change(connection, found, change, base_url)

    return work


def _place(link: EntityLink | None) -> dict[str, Any]:
    return {
        "entity_type": link.type if link else None,
        "entity_id": link.id if link else None,
        "entity_field": link.field if link else None,
        "is_primary": False,
        "sort_order": 0,
    }


def _profile(profiles: Profiles, row: Record) -> Profile:
    found = profiles.get(row["profile"])
    if found is None:
        raise Invalid(
            f"The profile {row['profile']!r} of {public_id(row['id'])} is not there any more, so it hangs where it is."
        )
    return found


async def _lock_slots(
    connection: AsyncConnection, ids: Sequence[uuid.UUID], link: EntityLink | None, profiles: Profiles
) -> dict[str, uuid.UUID]:
    """Lock the media, and the slots for one that they may come to: who is there, by profile. A slot is locked before
    its media, as everywhere; the profile of a media never changes, so it is known before."""
    wanted = set[Slot]()
    if link is not None:
        named = select(media.c.profile).where(_among(ids)).distinct()
        for name in (await connection.scalars(named)).all():
            if name in profiles and profiles[name].single:
                wanted.add(
                    Slot(entity_type=link.type, entity_id=link.id, entity_field=link.field, profile=name)
                )
    await slots.lock_all(connection, wanted, ids)
    return {slot.profile: held for slot in wanted if (held := await slots.holder(connection, slot))}


async def _living(connection: AsyncConnection, link: EntityLink | None) -> Entity | None:
    """The entity, if it is registered. It is not deleted before this transaction ends: whoever deletes it then finds
    what was hung on it here."""
    if link is None:
        return None
    found = await registry.find_entity(connection, link.type, link.id, keep=True)
    return None if found is None or found.deleted else found


async def _own(
    connection: AsyncConnection, caller: Caller, ids: Sequence[uuid.UUID]
) -> tuple[dict[uuid.UUID, Record], Refusals]:
    """The rows of locked media that the caller may change, and why not the others."""
    found = shaped_for(caller).where(_among(ids), rights.readable(caller))
    async with restricted(connection, caller):
        seen = {row["id"]: row for row in (await connection.execute(found)).mappings().all()}
    own: dict[uuid.UUID, Record] = {}
    refused: Refusals = {}
    for media_id in ids:  # in the order asked for: of two that want one place, the first has it
        row = seen.get(media_id)
        if row is None:
            refused[media_id] = absent(str(media_id))
        elif row["may_change"]:
            own[media_id] = row
        else:
            refused[media_id] = Forbidden(f"You may see {public_id(media_id)} but not change it.")
    return own, refused


async def _change(
    connection: AsyncConnection, found: Mapping[uuid.UUID, Record], change: Change, base_url: str
) -> Refusals:
    """Those that come to have the same columns in one statement; all are told of in one."""
    refused: Refusals = {}
    alike: dict[bytes, tuple[Mapping[str, Any], list[uuid.UUID]]] = {}
    for media_id, row in found.items():
        try:
            values = change(row)
        except TripodError as error:
            refused[media_id] = error
            continue
        if values:
            alike.setdefault(msgspec.json.encode(values), (values, []))[1].append(media_id)
    now, changed = datetime.now(UTC), list[uuid.UUID]()
    for values, ids in alike.values():
        await connection.execute(update(media).where(_among(ids)).values(**values, edited_at=now))
        changed += ids
    if changed:
        shown = (await connection.execute(rows.shaped().where(_among(changed)))).mappings().all()
        told = [
            outbox.updated_row(rows.show(row, base_url), was_public=is_public(found[row["id"]]))
            for row in shown
        ]
        await outbox.insert_many(connection, told)
    return refused


def _among(ids: Sequence[uuid.UUID]) -> Any:
    return media.c.id == any_(bindparam(None, list(ids), ARRAY(Uuid)))

"""What would become of a row of an older system, told by the beginning of its file: nothing is stored or noted."""

import msgspec

from services.ingest import claims, importing, rules
from services.ingest.context import Ingest
from services.ingest.dialects.entity_slots import places
from services.ingest.imported import Import
from services.ingest.source import Source
from services.ingest.taking import check_early, looked_at
from services.ingest.transfer import Head, read_head
from shared import profiles
from shared.auth import Caller
from shared.errors import Invalid, NotFound
from shared.imports import ImportCheck

_OF_DIALECTS = {"persona", "content"}


def _check_type(ingest: Ingest, source: Source) -> None:
    """What is registered for an import is of a type that somebody means: a plural would become a type of its own.
    Raises Invalid."""
    link, known = source.early.entity, ingest.settings.profiles
    types = _OF_DIALECTS | {place.slot.entity_type for place in places(known)}
    types |= {said.partition("/")[0] for profile in known.values() for said in profile.general} - {"*"}
    if link is not None and link.type not in types:
        raise Invalid(
            f"entity_type is {link.type!r}, of which nothing is registered for an import; allowed are "
            f"{', '.join(sorted(types))}. Others their own system registers.",
            field="entity_type",
        )


async def check(
    ingest: Ingest, caller: Caller, row: Import, source: Source, size: int, *, registering: bool
) -> ImportCheck:
    """`source` has the first bytes of a file of `size` bytes, behind all its fields. `registering`: what it hangs on
    will be registered before it comes. Raises the TripodError that would refuse the row; what only the whole file shows
    (its digest, its end) is not among those."""
    name = source.early.profile
    profile = profiles.find(ingest.settings.profiles, name)
    source = msgspec.structs.replace(source, size=size, profile_known=True)
    entity = None
    try:
        entity = await check_early(ingest, caller, source)
    except NotFound:
        if not registering:
            raise
        _check_type(ingest, source)
    head = await read_head(source.chunks)
    await source.finish()
    head = Head(data=head.data, whole=size <= len(head.data))
    found = claims.recognise(
        head.data,
        whole=head.whole,
        filename=source.filename,
        declared=source.declared,
        from_older_system=True,
    )
    looked_at(ingest.settings.profiles, source, head, found, entity)
    rules.check_size(size, profile, name, found)
    kept, there = await importing.would_be(ingest, row)
    return ImportCheck(mime_type=found.mime, profile=name, kept=kept, there=there)

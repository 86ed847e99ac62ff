"""Where a file goes: the key of its object, and the intent that says so before the first byte is stored."""

import secrets
from datetime import UTC, datetime

from services.ingest.attempt import Attempt, File, Wish
from services.ingest.intents import Intent
from services.ingest.leases import now_plus
from services.ingest.settings import IngestSettings
from shared.dialects.users import caller_integer_id, integer_id
from shared.names import extension
from shared.profiles import Profiles
from shared.storage import keys


def intent_for(settings: IngestSettings, wish: Wish, attempt: Attempt, file: File) -> Intent:
    """The word that this file is on its way, and where its object will be."""
    name = file.source.early.profile
    key = keys.original(_template(settings.profiles, file), _naming(wish, attempt, file))
    return Intent(
        holder=secrets.token_hex(8),
        until=now_plus(settings.timing.lease),
        id=attempt.id,
        number=attempt.number,
        owner=wish.owner,
        profile=name,
        filename=file.source.filename,
        mime_type=file.found.mime,
        media_type=file.found.media_type,
        key=key,
        state="receiving",
        size=file.source.size,
        started_at=datetime.now(UTC),
        idempotency=attempt.where,
        head=attempt.head,
    )


def _template(known: Profiles, file: File) -> str:
    """The profile's, unless it names an entity that is still to come: then the default."""
    template = known[file.source.early.profile].key
    named = file.source.early.entity is not None
    return known["default"].key if keys.needs_entity(template) and not named else template


def _naming(wish: Wish, attempt: Attempt, file: File) -> keys.Naming:
    link, known = file.source.early.entity, file.entity
    owner = wish.imported.owner if wish.imported else wish.owner
    user = integer_id(owner, None) if wish.imported else caller_integer_id(wish.caller)
    place = None
    if link is not None:
        place = keys.Place(type=link.type, id=link.id, display_id=known.display_id if known else None)
    return keys.Naming(
        media_id=attempt.id,
        number=attempt.number,
        owner=owner if user is None else str(user),
        kind=file.found.media_type,
        filename=file.source.filename,
        extension=_extension(file),
        entity=place,
        made_at=wish.imported.created_at if wish.imported else None,
    )


def _extension(file: File) -> str:
    """The name's own where the format may have it, else the format's usual one."""
    given = extension(file.source.filename)
    return given if given in file.found.extensions else file.found.extension

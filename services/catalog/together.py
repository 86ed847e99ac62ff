"""Takes in the uploads that come at one time in one transaction: its statements cost as much for one as for thirty."""

import asyncio
import contextvars
import uuid
from functools import cache

import msgspec
import structlog
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import outbox
from services.catalog.database import Database, lock_uploads
from services.catalog.projector import row_of, without_nul
from shared.errors import Unavailable
from shared.events import topology
from shared.events.messages import MediaUploaded
from shared.media import Media, from_upload

log = structlog.get_logger()

MOST = 100
_APART = text(
    "SELECT media_id FROM tombstones WHERE media_id = ANY(CAST(:ids AS uuid[]))"
    " UNION ALL SELECT media_id FROM early_results WHERE media_id = ANY(CAST(:ids AS uuid[]))"
    " UNION ALL SELECT told.id FROM unnest(CAST(:ids AS uuid[]), CAST(:owners AS text[]),"
    "   CAST(:moments AS timestamptz[])) AS told (id, owner, created_at) JOIN departed_users AS gone"
    "   ON gone.digest = sha256(convert_to(told.owner, 'UTF8')) AND gone.left_at >= told.created_at"
)
_NOTE = text(
    "INSERT INTO stored_events (stream, sequence, media_id) SELECT CAST(:stream AS text), * FROM"
    " unnest(CAST(:sequences AS bigint[]), CAST(:ids AS uuid[])) ON CONFLICT DO NOTHING"
)


class _Upload:
    """`taken`: somebody has it in a transaction, or had; `media`: it is committed with that; `waits`: the database did
    not answer. `context`: whose trace its event is part of."""

    def __init__(self, event: MediaUploaded, sequence: int) -> None:
        self.event = without_nul(event)
        self.sequence = sequence
        self.context = contextvars.copy_context()
        self.taken = False
        self.media: Media | None = None
        self.waits: Unavailable | None = None


class Together:
    """Who comes first takes in all that wait by then, and so nobody waits for others to come."""

    def __init__(self, database: Database, base_url: str, places: asyncio.Semaphore) -> None:
        """`places`: of connections that events may hold at once."""
        self._database = database
        self._base_url = base_url
        self._places = places
        self._turn = asyncio.Lock()
        self._waiting: list[_Upload] = []

    async def take_in(self, event: MediaUploaded, sequence: int) -> Media | None:
        """The media, committed as `projector.project` would have created it. None where it is not to be had so simply,
        or the transaction failed for any of its uploads: then this one is to be projected by itself. Raises
        Unavailable."""
        if event.entity is not None:
            return None
        upload = _Upload(event, sequence)
        self._waiting.append(upload)
        try:
            async with self._turn:
                if not upload.taken:
                    await self._take_all()
        finally:
            if not upload.taken:
                self._waiting.remove(upload)
        if upload.waits is not None:
            raise Unavailable(upload.waits.detail, retry_after=2) from upload.waits
        return upload.media

    async def _take_all(self) -> None:
        async with self._places:
            batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            for upload in batch:
                upload.taken = True
            try:
                async with self._database.writing() as connection:
                    created = await _create(
                        connection, {u.event.id: u for u in reversed(batch)}, self._base_url
                    )
            except Unavailable as error:
                for upload in batch:
                    upload.waits = error
                return
            except Exception as error:  # noqa: BLE001 - one that nobody can take in must not keep the others out
                log.warning("uploads.taken_in_one_by_one", uploads=len(batch), error=repr(error))
                return
        for upload, media in created:
            upload.media = media


async def _create(
    connection: AsyncConnection, uploads: dict[uuid.UUID, _Upload], base_url: str
) -> list[tuple[_Upload, Media]]:
    """Those that were created. What is deleted, of a user who has left, has a result already or was told before is left
    out."""
    events = [upload.event for upload in uploads.values()]
    await lock_uploads(connection, uploads, [event.owner for event in events])
    told_of = {
        "ids": list(uploads),
        "owners": [event.owner for event in events],
        "moments": [event.created_at for event in events],
    }
    apart = set((await connection.scalars(_APART, told_of)).all())
    fresh = [upload for media_id, upload in uploads.items() if media_id not in apart]
    if not fresh:
        return []
    await connection.execute(
        _NOTE,
        {
            "stream": topology.MEDIA,
            "sequences": [upload.sequence for upload in fresh],
            "ids": [upload.event.id for upload in fresh],
        },
    )
    rows = [row_of(upload.event, None) for upload in fresh]
    made = await connection.scalars(_insert(tuple(rows[0])), {"rows": msgspec.json.encode(rows).decode()})
    created = [
        (upload, from_upload(upload.event, base_url))
        for upload in (uploads[media_id] for media_id in made.all())
    ]
    if created:
        told = [upload.context.run(outbox.created_row, media) for upload, media in created]
        await outbox.insert_many(connection, told)
    return created


@cache
def _insert(names: tuple[str, ...]) -> TextClause:
    columns = ", ".join(names)
    return text(
        f"INSERT INTO media ({columns}) SELECT {columns}"  # noqa: S608 - names of columns
        " FROM json_populate_recordset(NULL::media, CAST(:rows AS json)) ON CONFLICT (id) DO NOTHING RETURNING id"
    )

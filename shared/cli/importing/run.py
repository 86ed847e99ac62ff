"""A whole import: the export is read once to see what there is and what cannot be, and once to send it."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import msgspec

from shared.cli.client import Client
from shared.cli.failures import Refused, Unreachable
from shared.cli.importing import columns
from shared.cli.importing.columns import Dialect
from shared.cli.importing.differences import OtherFile, check_same_file, of_file, of_there
from shared.cli.importing.entities import Entities
from shared.cli.importing.export import Told, names, rows
from shared.cli.importing.folder import Folder, NoFile, Opened, is_variant
from shared.cli.importing.journal import Failed, Journal, Taken, Why
from shared.cli.importing.progress import Progress
from shared.cli.importing.row import Row, digest_of, number_of, old_id_of, row_of
from shared.cli.importing.sending import Changed, Wish, check, digest, send
from shared.errors import Invalid, TripodError
from shared.imports import MOST_IDS, ImportedMedia, NumbersAsked, StillAsked, StillThere

_REASONS: dict[int, Why] = {
    404: "unknown_entity",
    410: "deleted_since",
    413: "too_large",
    415: "not_allowed_type",
}
_DELETED = "It was imported, and was deleted here since."
_REGISTERED_SECONDS = 0.25
_REGISTERED_TRIES = 40


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for on the command line. `dry`: nothing is written."""

    dialect: Dialect
    export: Path
    encoding: str
    renamed: dict[str, str] = {}
    owner: str | None = None
    register: bool = False
    dry: bool = False


class Survey(msgspec.Struct, kw_only=True):
    """What there is. `bytes`: of what is to be sent; `highest`: number; `before`: rows that are here from a former
    run."""

    rows: int = 0
    to_send: int = 0
    bytes: int = 0
    highest: int = 0
    before: int = 0


class Run:
    """One import into one server."""

    def __init__(
        self,
        client: Client,
        *,
        plan: Plan,
        wish: Wish,
        folder: Folder,
        journal: Journal,
        entities: Entities,
        say: Callable[[str], None],
    ) -> None:
        self._client = client
        self._plan = plan
        self._wish = wish
        self._folder = folder
        self._journal = journal
        self._entities = entities
        self._say = say
        self._stopped: TripodError | None = None
        self._highest = 0
        self.done = 0
        """Rows that were taken, or would be; `known`: those of them that the server had already."""
        self.known = 0
        self.renumbered = 0
        """Rows that would get a new id."""

    async def survey(self) -> Survey:
        """Reads all of the export, and looks for every file. Raises Invalid for what is no export of this system."""
        found, formers = Survey(), list[tuple[str, Row]]()
        heading = names(self._plan.export, self._plan.encoding)
        if heading is not None:
            self._check_columns(dict.fromkeys(heading))
        for told in self._told():
            found.rows += 1
            row = self._seen(told)
            found.highest = self._highest
            if row is None:
                continue
            former = self._journal.former_id(row.old_id, digest_of(row))
            if former is None:
                self._plan_row(row, found)
            else:
                formers.append((former, row))
            if len(formers) == MOST_IDS:
                await self._ask_for(formers, found)
            if found.rows % 200 == 0:
                await asyncio.sleep(0)  # Ctrl-C is heard
        await self._ask_for(formers, found)
        return found

    def _plan_row(self, row: Row, found: Survey) -> None:
        """It is to be sent, if its file is there."""
        try:
            opened = self._folder.open(row.path)
        except TripodError as error:
            self._fail(row, error)
            return
        os.close(opened.fd)
        self._journal.plan(row.old_id, opened.path)
        found.to_send += 1
        found.bytes += opened.size

    async def _ask_for(self, formers: list[tuple[str, Row]], found: Survey) -> None:
        """Rows that a former run brought: the server may have been emptied since, and people delete. Raises Refused,
        Unreachable."""
        if not formers:
            return
        asked = StillAsked(ids=tuple(uuid.UUID(former) for former, _ in formers))
        answer = await self._client.ask("POST", "/v1/imports/known", body=asked)
        still = msgspec.convert(answer, StillThere)
        there, gone = {str(one) for one in still.there}, {str(one) for one in still.gone}
        for former, row in formers:
            if former in there:
                found.before += 1
            elif former in gone:
                self._journal.fail(
                    Failed(row=row.line, old_id=row.old_id, reason="deleted_since", detail=_DELETED)
                )
            else:
                self._plan_row(row, found)
        formers.clear()

    async def make_room(self, highest: int) -> None:
        """So that numbers can be kept, and later uploads come after them."""
        if highest:
            await self._client.ask("POST", "/v1/imports/numbers", body=NumbersAsked(highest=highest))

    async def go(self, jobs: int, progress: Progress) -> TripodError | None:
        """Send what is planned, or have it checked, `jobs` at a time; why it ended early, None where it did not."""
        waiting = self._planned()
        lock = asyncio.Lock()

        async def next_row() -> Row | None:
            async with lock:
                return await anext(waiting, None)

        async def work() -> None:
            while self._stopped is None and (row := await next_row()) is not None:
                await self._one(row, progress)

        async with asyncio.TaskGroup() as group:
            for _ in range(jobs):
                group.create_task(work())
        return self._stopped

    def left_alone(self) -> tuple[int, int]:
        """Files of the folder that no row names: variants of the older system, and others."""
        variants = others = 0
        for path in self._folder.files():
            if not self._journal.names(path):
                variants, others = (variants + 1, others) if is_variant(path) else (variants, others + 1)
        return variants, others

    def _check_columns(self, there: Mapping[str, object]) -> None:
        columns.check(self._plan.dialect, there, self._plan.renamed, self._plan.owner)

    def _told(self) -> Iterator[Told]:
        checked = False
        for told in rows(self._plan.export, self._plan.encoding):
            if told.fault is None and not checked:
                self._check_columns(told.cells)
                checked = True
            renamed = {self._plan.renamed.get(name, name): cell for name, cell in told.cells.items()}
            yield msgspec.structs.replace(told, cells=renamed)

    def _seen(self, told: Told) -> Row | None:
        """A row that can be taken; None for one that cannot, which is noted."""
        old_id = None
        try:
            if told.fault is not None:
                raise Invalid(told.fault)  # noqa: TRY301 - noted with the others
            old_id = old_id_of(self._plan.dialect, told.cells)
            self._highest = max(self._highest, number_of(self._plan.dialect, old_id) or 0)
            if not self._journal.see(old_id, told.line):
                first = self._journal.line_of(old_id)
                detail = f"Row {first} has the same id {old_id}."
                self._journal.fail(Failed(row=told.line, old_id=old_id, reason="duplicate_id", detail=detail))
                return None
            return row_of(self._plan.dialect, told.cells, told.line, self._plan.owner)
        except Invalid as error:
            why: Why = "bad_row" if told.fault is not None else "bad_column"
            self._journal.fail(Failed(row=told.line, old_id=old_id, reason=why, detail=error.detail))
            return None

    async def _planned(self) -> AsyncIterator[Row]:
        for told in self._told():
            if told.fault is not None:
                continue
            try:
                row = row_of(self._plan.dialect, told.cells, told.line, self._plan.owner)
            except Invalid:
                continue  # noted by the survey
            if self._journal.is_planned(row.old_id, row.line):
                yield row

    async def _one(self, row: Row, progress: Progress) -> None:
        size = 0
        try:
            opened = self._folder.open(row.path)
            size = opened.size
            try:
                await (self._check(row, opened) if self._plan.dry else self._take(row, opened, progress))
            finally:
                os.close(opened.fd)
        except TripodError as error:
            if _concerns_all(error):
                self._stopped = self._stopped or error
                return
            self._fail(row, error)
        else:
            self.done += 1
        progress.row_done(_name(row), size)

    async def _check(self, row: Row, opened: Opened) -> None:
        """Nothing is written, here or there."""
        found = await check(self._client, self._wish, row, opened, registering=self._plan.register)
        there, kept = found.there, all(found.kept.values()) and self._asked_for_all(row)
        sha256 = None
        if there is not None:
            self.known += 1
            sha256 = await digest(opened)
            check_same_file(row, sha256, opened, there)
        self.renumbered += not kept
        told = [*of_file(row, opened.size, sha256, found.mime_type), *(of_there(row, there) if there else ())]
        if told:
            self._journal.note(row.old_id, "; ".join(told))

    async def _take(self, row: Row, opened: Opened, progress: Progress) -> None:
        media, there, note = await self._bring(row, opened, progress)
        self.known += there
        self._journal.take(
            Taken(
                old_id=row.old_id,
                id=str(media.id),
                public_id=media.public_id,
                number=media.number,
                kept=all(media.kept.values()) and self._asked_for_all(row),
                old_public_id=row.query.get("public_id"),
                note=note,
                path=opened.path,
                said=digest_of(row),
            )
        )

    def _asked_for_all(self, row: Row) -> bool:
        """Whether its number is one that can be kept at all."""
        return columns.SHAPES[self._plan.dialect].keeps != "number" or row.number is not None

    async def _bring(
        self, row: Row, opened: Opened, progress: Progress
    ) -> tuple[ImportedMedia, bool, str | None]:
        """What it is, whether it was that already, and what is told otherwise."""
        sha256 = await digest(opened)
        if row.entity is not None:
            checked = partial(check, self._client, self._wish, row, opened, registering=True)
            if not await self._entities.known(row.entity, checked):
                raise _unknown(row)
        bring = partial(
            send,
            self._client,
            self._wish,
            row,
            opened,
            sha256,
            moved=partial(progress.moved, _name(row)),
            noting=partial(self._note_retry, row),
        )
        for attempt in range(_REGISTERED_TRIES):
            progress.begins(_name(row), opened.size)
            try:
                media, before = await bring()
            except Refused as error:
                fresh = row.entity and (row.entity.type, row.entity.id) in self._entities.registered
                if error.answered != 404 or not fresh or attempt + 1 == _REGISTERED_TRIES:
                    raise
                await asyncio.sleep(_REGISTERED_SECONDS)  # ingest hears of it in a moment
            else:
                told = [*of_file(row, opened.size, sha256, media.mime_type)]
                if media.there is not None:
                    check_same_file(row, sha256, opened, media.there)
                    told += of_there(row, media.there)
                return media, before, "; ".join(told) or None
        raise AssertionError  # pragma: no cover - the loop returns or raises

    def _note_retry(self, row: Row, error: BaseException, seconds: float) -> None:
        said = error.detail if isinstance(error, TripodError) else str(error)
        self._say(f"row {row.line} ({row.old_id}): {said} Trying again in {seconds:.1f} s.")

    def _fail(self, row: Row, error: TripodError) -> None:
        why: Why = "refused"
        if isinstance(error, NoFile):
            why = error.why
        elif isinstance(error, OtherFile):
            why = "other_file"
        elif isinstance(error, Changed):
            why = "file_changed"
        elif isinstance(error, Refused):
            why = _REASONS.get(error.answered, "refused")
        elif isinstance(error, UnknownEntity):
            why = "unknown_entity"
        detail = _DELETED if why == "deleted_since" else error.detail
        self._journal.fail(Failed(row=row.line, old_id=row.old_id, reason=why, detail=detail))


def _name(row: Row) -> str:
    """By which a person knows the row while it is under way: two rows may have one file."""
    return f"{row.old_id} {row.filename}"


class UnknownEntity(TripodError):
    """What a row hangs on is not registered."""


def _unknown(row: Row) -> UnknownEntity:
    entity = row.entity
    name = f"{entity.type}/{entity.id}" if entity else "nothing"
    return UnknownEntity(f"{name} is not registered here; --register-entities does that.")


def _concerns_all(error: TripodError) -> bool:
    """Every further row would fare the same: no server, no token, no right."""
    return isinstance(error, Unreachable) or (
        isinstance(error, Refused) and error.answered in {401, 403, 502, 503, 504}
    )

"""Many files in one form: taken one after the other off the wire, each an upload that stands alone.

The fields of a form may follow its files and go for all of them, so each file, once it is in the store, waits for the
form's end before it is announced. A form that breaks off leaves nothing of any file. A file may begin while those
before it are still on their way into the store, as far as there is memory for it (`ahead`).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeAlias

import msgspec
import structlog

from services.ingest import admission
from services.ingest.ahead import FILES_AHEAD, Ahead
from services.ingest.answers import Answering
from services.ingest.context import Ingest
from services.ingest.duplicates import Duplicate
from services.ingest.fields import Options
from services.ingest.form import FilePart, Form, boundary_of
from services.ingest.idempotency import Answer
from services.ingest.limits import FORM_OVERHEAD_BYTES
from services.ingest.requests import AnyRequest, body_of, wish_of
from services.ingest.source import OURS, Reading, Source, from_part
from services.ingest.upload import check_parts, upload
from shared.auth import Caller
from shared.errors import Conflict, Invalid, TripodError
from shared.names import display_name

log = structlog.get_logger()

FILES = 50
NAME = "files"
Begin: TypeAlias = Callable[[int, FilePart], "_Taking"]


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one file: its answer, or the error that refused it. `replayed`: the answer stands for an
    earlier request."""

    filename: str
    answer: Answer | None = None
    replayed: bool = False
    error: TripodError | None = None


class _Taking:
    """A file on its way. `read_out`: its last byte is off the wire; `settled`: all of it is in the store, or it is
    given up; `fault`: the form broke in the middle of it; `leads`: the first of a form with a key, which stands for
    all of it."""

    def __init__(self, filename: str, *, leads: bool) -> None:
        loop = asyncio.get_running_loop()
        self.filename = filename
        self.leads = leads
        self.received = 0
        self.read_out: asyncio.Future[None] = loop.create_future()
        self.settled: asyncio.Future[None] = loop.create_future()
        self.fault: TripodError | None = None
        self.task: asyncio.Task[tuple[Answer, bool]]

    def start(self, work: Coroutine[Any, Any, tuple[Answer, bool]], name: str) -> None:
        self.task = asyncio.create_task(work, name=name)
        self.task.add_done_callback(lambda _: self.settle())

    def settle(self) -> None:
        if not self.settled.done():
            self.settled.set_result(None)

    async def chunks(self, form: Form) -> AsyncIterator[bytes]:
        try:
            async for piece in form.chunks():
                self.received += len(piece)
                yield piece
        except TripodError as error:
            self.fault = error
            raise
        if not self.read_out.done():
            self.read_out.set_result(None)

    async def off_the_wire(self, form: Form) -> None:
        """Returns when the form can go on: what an upload leaves of its file is dropped. Raises what is wrong with
        the form."""
        await asyncio.wait({self.read_out, self.settled}, return_when=asyncio.FIRST_COMPLETED)
        if self.fault is not None:
            raise self.fault
        if self.leads and (running := self._running_elsewhere()):
            raise running
        if not self.read_out.done():
            async for _ in form.chunks():
                pass

    def _running_elsewhere(self) -> Conflict | None:
        """The same form is under way: going on would take files from it that it has not come to yet."""
        if not self.task.done() or self.task.cancelled():
            return None
        error = self.task.exception()
        return error if isinstance(error, Conflict) and not isinstance(error, Duplicate) else None

    def item(self) -> Item:
        error = self.task.exception()
        if error is None:
            answer, replayed = self.task.result()
            return Item(filename=self.filename, answer=answer, replayed=replayed)
        if not isinstance(error, TripodError):
            log.error("batch.file_failed", filename=self.filename, exc_info=error)
            error = TripodError("Something went wrong here with this file; it was not taken.")
        return Item(filename=self.filename, error=error)


async def upload_batch(
    request: AnyRequest,
    caller: Caller,
    *,
    reading: Reading = OURS,
    answering: Answering | None = None,
    name: str = NAME,
    also: tuple[str, ...] = (),
) -> list[Item]:
    """Take all files of a form, at most FILES, from the parts of this name, or another; its fields go for each. With
    an Idempotency-Key each file has that of its place, `<key>#<place>`. Raises the TripodError that refuses the form
    itself, Conflict while the same runs; then nothing of any file is kept."""
    ingest: Ingest = request.app.state.ingest
    boundary = boundary_of(request.headers.get("content-type", ""), name)
    wish = wish_of(request, caller, answering)
    await check_parts(ingest)
    read = body_of(request, wish, FORM_OVERHEAD_BYTES, profiles=reading.profiles, files=FILES)
    await admission.check_batch(ingest, wish)
    form = Form(read, boundary, name, also=also)
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def begin(place: int, part: FilePart) -> _Taking:
        taking = _Taking(display_name(part.filename), leads=place == 1 and wish.key is not None)
        key = None if wish.key is None else f"{wish.key}#{place}"

        async def finish() -> Options:
            taking.settle()
            await asyncio.shield(ended)  # one file that is given up must not end the waiting of the others
            return reading.parse(form.fields, complete=True)

        async def open_source() -> Source:
            source = from_part(part, taking.chunks(form), form.fields, finish, reading)
            return msgspec.structs.replace(source, waits=True)

        one = msgspec.structs.replace(wish, key=key)
        taking.start(upload(ingest, one, open_source), f"batch-{place}")
        return taking

    return await _all(form, begin, ended, ingest.ahead)


async def _all(form: Form, begin: Begin, ended: asyncio.Future[None], ahead: Ahead) -> list[Item]:
    """Every file of the form, in its order; `ended` tells the uploads of its end."""
    begun: list[_Taking] = []
    try:
        await _read(form, begin, begun, ahead)
        ended.set_result(None)
        await asyncio.wait([taking.task for taking in begun])
    except BaseException as fault:
        await _give_up(begun, ended, fault)
        raise
    return [taking.item() for taking in begun]


async def _read(form: Form, begin: Begin, begun: list[_Taking], ahead: Ahead) -> None:
    while (part := await form.next_file()) is not None:
        if len(begun) == FILES:
            raise Invalid(f"The form has more than {FILES} files, which is the most allowed.", limit=FILES)
        begun.append(begin(len(begun) + 1, part))
        await begun[-1].off_the_wire(form)
        await _room(begun, ahead)
    if not begun:
        raise form.without_file()


async def _room(begun: list[_Taking], ahead: Ahead) -> None:
    """Return when the next file may begin: while there is room, the last one may still be on its way."""
    last = begun[-1]
    while not last.settled.done():
        waiting = {taking.settled for taking in begun if not taking.settled.done()}
        if len(waiting) <= FILES_AHEAD and ahead.take(last.received):
            last.settled.add_done_callback(lambda _: ahead.give_back(last.received))
            return
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)


async def _give_up(begun: list[_Taking], ended: asyncio.Future[None], fault: BaseException) -> None:
    """Let every upload undo what it has done: those that wait for the form's end hear why it does not come."""
    if isinstance(fault, TripodError) and not ended.done():
        ended.set_exception(fault)
        ended.exception()  # it is told to those who wait; none may be waiting
    else:
        for taking in begun:
            taking.task.cancel()
    await asyncio.gather(*(taking.task for taking in begun), return_exceptions=True)

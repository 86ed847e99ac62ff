"""What an upload is while it is under way: what was asked for, the try at it, and its file."""

import uuid

import msgspec

from services.ingest import rules
from services.ingest.answers import Answering
from services.ingest.digest_fields import Promised
from services.ingest.idempotency import Asked
from services.ingest.imported import Import
from services.ingest.source import Reading, Source
from services.ingest.transfer import Head, Transfer
from shared.auth import Caller
from shared.entities import Entity
from shared.errors import TooLarge
from shared.formats import Format


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a request asks for beside its bytes, and how it wants to be answered. `reading`: how its form is read;
    None for a body that is the file. `imported`: what it was in the older system that it comes from."""

    caller: Caller
    asked: Asked
    key: str | None
    answering: Answering
    promised: Promised
    reading: Reading | None = None
    imported: Import | None = None

    @property
    def owner(self) -> str:
        return self.caller.sub or ""


class Attempt:
    """One try at one upload. `begun`: the intent is ours; `stored`: it can only go forward from here; `head`: the
    fingerprint of its file, once it is seen and if there is a key that is bound to it; `sequence`: its event's place
    in the stream, once it has one; `reused`: its owner had the file already, and was answered with that."""

    def __init__(self, media_id: uuid.UUID, number: int, where: str | None) -> None:
        self.id = media_id
        self.number = number
        self.where = where
        self.head: str | None = None
        self.transfer = Transfer()
        self.begun = False
        self.stored = False
        self.reused = False
        self.sequence: int | None = None


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file that has been looked at; its rest is still to come. `limit` is the most bytes to take of it, `of`
    says of what that is the limit."""

    source: Source
    head: Head
    found: Format
    sides: tuple[int, int] | None
    entity: Entity | None
    limit: int
    of: str

    def too_large(self, size: int | None = None) -> TooLarge:
        return rules.too_large(self.limit, self.of, self.found, size)

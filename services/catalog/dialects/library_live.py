"""/ws/media: what becomes of the library's files, as messages `{type, data}` of type created, updated and deleted."""

from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from litestar import WebSocket, websocket
from litestar.di import NamedDependency

from services.catalog import queries
from services.catalog.database import Database
from services.catalog.listeners import Listener, LiveMessage
from services.catalog.live import Feed
from services.catalog.measures import CatalogMetrics
from services.catalog.queries import Filters
from services.catalog.routes.live import connected, converse, refuse
from services.catalog.settings import CatalogSettings
from shared.auth import Caller
from shared.dialects import library
from shared.dialects.library import PROFILE
from shared.dialects.settings import Anonymous
from shared.dialects.users import integer_id
from shared.dialects.view import View
from shared.errors import TripodError, Unavailable
from shared.media import Media

_REMEMBERED = 4096  # media
_ALL = Caller(roles=frozenset({"service"}))
_TYPES = {"media.created": "created", "media.updated": "updated"}
_PONG = '{"type":"pong","message":"pong"}'
_GONE = frozenset({"media.deleted", "media.hidden"})


@websocket("/ws/media")
async def live(
    socket: WebSocket[Any, Any, Any],
    feed: NamedDependency[Feed],
    database: NamedDependency[Database],
    settings: NamedDependency[CatalogSettings],
    metrics: NamedDependency[CatalogMetrics],
) -> None:
    """`data` is the file as `GET /media/{media_id}` shows it; of one that is deleted, or may not be seen any more, its
    `id`. The token comes as at /v1/live; who has none hears what may be read without. Who is too slow, or was told less
    because the broker was away, is let go: connect again, and ask for the list."""
    await socket.accept()
    try:
        caller = await connected(socket, settings, socket.query_params.get("token"))
        hearing = _hearing(caller, settings.dialects.anonymous)
        feed.listeners.require_room(caller)
    except TripodError as error:
        await refuse(socket, error)
        return
    users: Users = socket.app.state.setdefault("library_users", Users())
    with (
        feed.listeners.listening(hearing, only=frozenset({PROFILE}), deletions=True) as listener,
        metrics.listeners.track_inprogress(),
    ):
        texts = _texts(listener, database, users, settings.http.base_url)
        await converse(socket, caller, texts, answer=_pong)


def _pong(said: str) -> str | None:
    """Pages cannot send a WebSocket's own pings, and clients of the older system ask like this."""
    try:
        asked = msgspec.json.decode(said)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return _PONG if isinstance(asked, dict) and asked.get("type") == "ping" else None


def _hearing(caller: Caller, mode: Anonymous) -> Caller:
    """As whom the caller listens: where the library is open as staff, but still as nobody in particular. Raises
    Unauthenticated."""
    return msgspec.structs.replace(library.reading(caller, mode), sub=caller.sub)


async def _texts(listener: Listener, database: Database, users: "Users", base_url: str) -> AsyncIterator[str]:
    """Ends when this process leaves. Raises Unavailable where something was lost: the older API has no word for it."""
    while (message := await listener.next()) is not None:
        if message.type == "resync":
            raise Unavailable("Some messages were lost.")
        data = await _data(message, database, users, base_url)
        if data is not None:
            yield msgspec.json.encode({"type": _TYPES.get(message.type, "deleted"), "data": data}).decode()


async def _data(message: LiveMessage, database: Database, users: "Users", base_url: str) -> Any:
    """None for what the older API does not tell."""
    if message.type in _GONE:
        return {"id": message.number}
    if message.type not in _TYPES or message.media is None:
        return None
    media = msgspec.convert(message.media, Media)
    return library.shape(View(media=media, key="", owner_uid=await users.uid_of(media, database)), base_url)


class Users:
    """The numbers of owners that are not numbers themselves. Events do not tell them; they never change, so each is
    asked for once."""

    def __init__(self) -> None:
        self._known: OrderedDict[Any, int | None] = OrderedDict()

    async def uid_of(self, media: Media, database: Database) -> int | None:
        """None for an owner without a number, and where the media is gone already. Raises Unavailable."""
        if integer_id(media.owner, None) is not None:
            return None
        if media.id in self._known:
            return self._known[media.id]
        async with database.reading_for(_ALL) as connection:
            view = await queries.find_view(
                connection, _ALL, filters=Filters(profiles=(PROFILE,)), media_id=media.id, base_url=""
            )
        self._known[media.id] = found = view.owner_uid if view is not None else None
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return found


HANDLERS = (live,)

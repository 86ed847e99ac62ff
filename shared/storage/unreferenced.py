"""Objects that no row names: the janitor finds them, and asks the service that wrote them to erase them."""

from collections.abc import Awaitable, Callable, Iterable

import msgspec
import structlog

from shared.events.bus import Bus, Message
from shared.storage.blobs import Blobs

log = structlog.get_logger()

AT_ONCE = 200  # keys in one request: some 30 KB
ANSWER_SECONDS = 60.0


class Erase(msgspec.Struct, frozen=True, kw_only=True):
    """The request, on the subject of the service that wrote these objects."""

    keys: tuple[str, ...]


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: the others are not this service's to erase, or are in use."""

    keys: tuple[str, ...]


def erasing(blobs: Blobs, ours: Callable[[str], Awaitable[bool]]) -> Callable[[Message], Awaitable[bytes]]:
    """Answers such requests; only keys that are `ours` are erased."""

    async def answer(message: Message) -> bytes:
        done = []
        for key in msgspec.json.decode(message.data, type=Erase).keys:
            if await ours(key):
                await blobs.delete(key)
                done.append(key)
                log.info("object.unreferenced_erased", key=key)
            else:
                log.warning("object.not_erased", key=key)
        return msgspec.json.encode(Erased(keys=tuple(done)))

    return answer


async def ask_to_erase(bus: Bus, subject: str, keys: Iterable[str]) -> list[str]:
    """Those that were erased. Raises NoAnswer, Unavailable."""
    wanted, done = list(keys), list[str]()
    for start in range(0, len(wanted), AT_ONCE):
        asked = msgspec.json.encode(Erase(keys=tuple(wanted[start : start + AT_ONCE])))
        answer = await bus.request(subject, asked, timeout=ANSWER_SECONDS)
        done += msgspec.json.decode(answer, type=Erased).keys
    return done

"""Objects that no row names, and uploads that nobody will finish: the janitor finds them, and asks the service that
wrote them to erase them."""

from collections.abc import Awaitable, Callable, Iterable

import msgspec
import structlog

from shared.events.bus import Bus, Message
from shared.storage import leftovers
from shared.storage.blobs import Blobs

log = structlog.get_logger()

AT_ONCE = 200  # keys in one request: some 30 KB
ANSWER_SECONDS = 60.0


class Erase(msgspec.Struct, frozen=True, kw_only=True):
    """The request, on the subject of the service that wrote these objects. `unfinished`: keys of which only what is
    half-way goes; an object may be there, and stays."""

    keys: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: the others are not this service's to erase, or are in use. `unfinished` names those of which there
    was something."""

    keys: tuple[str, ...]
    unfinished: tuple[str, ...] = ()


def erasing(blobs: Blobs, ours: Callable[[str], Awaitable[bool]]) -> Callable[[Message], Awaitable[bytes]]:
    """Answers such requests; only keys that are `ours` are erased."""

    async def answer(message: Message) -> bytes:
        asked = msgspec.json.decode(message.data, type=Erase)
        done = []
        for key in asked.keys:
            if await allowed(key):
                await leftovers.erase(blobs, key)
                done.append(key)
                log.info("object.unreferenced_erased", key=key)
        aborted = [
            key for key in asked.unfinished if await allowed(key) and await leftovers.abort(blobs, key)
        ]
        return msgspec.json.encode(Erased(keys=tuple(done), unfinished=tuple(aborted)))

    async def allowed(key: str) -> bool:
        if await ours(key):
            return True
        log.warning("object.not_erased", key=key)
        return False

    return answer


async def ask_to_erase(bus: Bus, subject: str, keys: Iterable[str]) -> list[str]:
    """Those that were erased. Raises NoAnswer, Unavailable."""
    return [key for part in _parts(keys) for key in (await _ask(bus, subject, Erase(keys=part))).keys]


async def ask_to_abort(bus: Bus, subject: str, keys: Iterable[str]) -> list[str]:
    """Those of which something unfinished was removed. Raises NoAnswer, Unavailable."""
    return [
        key for part in _parts(keys) for key in (await _ask(bus, subject, Erase(unfinished=part))).unfinished
    ]


def _parts(keys: Iterable[str]) -> list[tuple[str, ...]]:
    wanted = tuple(keys)
    return [wanted[start : start + AT_ONCE] for start in range(0, len(wanted), AT_ONCE)]


async def _ask(bus: Bus, subject: str, asked: Erase) -> Erased:
    answer = await bus.request(subject, msgspec.json.encode(asked), timeout=ANSWER_SECONDS)
    return msgspec.json.decode(answer, type=Erased)

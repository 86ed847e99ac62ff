"""XML as a stream of elements, read by expat, which follows nothing; a document type is refused, and so are crowds."""

from collections.abc import Iterable
from typing import Protocol
from xml.parsers import expat

MOST_ELEMENTS = 4_000_000
"""Of one document, all parts together."""
_MOST_DEPTH = 256


class UnreadableXml(ValueError):
    """It is no XML, or of a kind that no office program writes."""


class Enough(Exception):
    """Raised by a listener to end the reading."""


class Listener(Protocol):
    """Hears of each element by its name without prefix; attributes as they stand, prefix and name."""

    def start(self, name: str, attributes: dict[str, str]) -> None: ...
    def end(self, name: str) -> None: ...
    def characters(self, text: str) -> None: ...


class Budget:
    """How many elements may come yet."""

    def __init__(self) -> None:
        self.left = MOST_ELEMENTS


def listen(chunks: Iterable[bytes], listener: Listener, budget: Budget) -> None:
    """Read to the end, or until the listener has Enough. Raises UnreadableXml; what was heard before was there."""
    # Not told of namespaces: it would put each element's in front of its name, however long that is.
    parser = expat.ParserCreate()
    parser.buffer_text = True
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        budget.left -= 1
        if budget.left < 0 or depth > _MOST_DEPTH:
            raise UnreadableXml("it has too many elements")
        listener.start(local(name), attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        listener.end(local(name))

    def refuse(*_: object) -> None:
        # Without a document type nothing can be declared, so there are no entities to expand or to fetch.
        raise UnreadableXml("a document type is refused")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = listener.characters, refuse
    try:
        for chunk in chunks:
            parser.Parse(chunk, False)  # noqa: FBT003 - "there is more": the parser takes it by position only
        parser.Parse(b"", True)  # noqa: FBT003
    except (expat.ExpatError, UnicodeError, LookupError) as error:  # an unknown encoding is a LookupError
        raise UnreadableXml(str(error)) from error
    except Enough:
        return


def local(name: str) -> str:
    """A name without its prefix, which is the writer's choice."""
    return name.rpartition(":")[2]

"""What may be said of a media: the limits of its texts, tags and metadata, the same when it is uploaded and later."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from shared.errors import Invalid

TEXT_CHARS = {"description": 5000, "alt_text": 1000, "caption": 2000}
TAGS = 50
TAG_CHARS = 64
METADATA_BYTES = 16 * 1024
METADATA_DEPTH = 8


def check_text(name: str, value: str) -> str | None:
    """A description, alt_text or caption without the blanks around it; None where it says nothing. Raises Invalid."""
    return check_limited(name, value, TEXT_CHARS[name])


def check_limited(name: str, value: str, most: int) -> str | None:
    """The same for any text of at most so many characters. Raises Invalid."""
    value = value.strip()
    if len(value) > most:
        raise Invalid(
            f"{name} has {len(value)} characters; at most {most} are allowed.", field=name, limit=most
        )
    return _clean(name, value) or None


def check_tags(values: Iterable[str]) -> tuple[str, ...]:
    """Each tag once and without the blanks around it, in the order given. Raises Invalid."""
    tags = tuple(dict.fromkeys(_clean("tags", value.strip()) for value in values))
    if len(tags) > TAGS:
        raise Invalid(f"There are {len(tags)} tags; at most {TAGS} are allowed.", field="tags", limit=TAGS)
    for tag in tags:
        _check_tag(tag)
    return tags


def _check_tag(tag: str) -> None:
    if not tag:
        raise Invalid(f"A tag is empty; allowed are 1 to {TAG_CHARS} characters.", field="tags")
    if len(tag) > TAG_CHARS:
        raise Invalid(
            f"The tag {tag[:80]!r} has {len(tag)} characters; at most {TAG_CHARS} are allowed.",
            field="tags",
            limit=TAG_CHARS,
        )
    if "," in tag:
        raise Invalid(f"The tag {tag!r} has a comma, which separates tags.", field="tags")


def check_metadata(found: dict[str, Any]) -> dict[str, Any]:
    """The same metadata. Raises Invalid where it is too long or too deep, or holds what cannot be kept as it is."""
    for key_or_text in _strings(found, 1):
        _clean("metadata", key_or_text)
    check_metadata_size(len(msgspec.json.encode(found)))
    return found


def check_metadata_depth(found: dict[str, Any]) -> None:
    """Of what is only a part of the metadata yet. Raises Invalid."""
    for _ in _strings(found, 1):
        pass


def check_metadata_size(size: int) -> None:
    """Of the JSON, in bytes. Raises Invalid."""
    if size > METADATA_BYTES:
        raise Invalid(
            f"metadata is {size} bytes of JSON; at most {METADATA_BYTES} ({METADATA_BYTES // 1024} KiB) are allowed.",
            field="metadata",
            limit=METADATA_BYTES,
        )


def _strings(value: Any, depth: int) -> Iterator[str]:
    """All keys and texts below `value`. Raises Invalid where it nests too deep or a number is too large."""
    if depth > METADATA_DEPTH and isinstance(value, (dict, list)):
        raise Invalid(
            f"metadata nests deeper than {METADATA_DEPTH} levels, which is the most allowed.",
            field="metadata",
            limit=METADATA_DEPTH,
        )
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, below in value.items():
            yield key
            yield from _strings(below, depth + 1)
    elif isinstance(value, list):
        for below in value:
            yield from _strings(below, depth + 1)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise Invalid("metadata holds a whole number beyond 64 bits; write it as a text.", field="metadata")


def _clean(name: str, value: str) -> str:
    """Postgres refuses NUL, and no other control character belongs into a text either."""
    for c in value:
        if (c < " " and c not in "\t\r\n") or c == "\x7f":
            raise Invalid(
                f"{name} contains the control character U+{ord(c):04X}, which is not allowed.", field=name
            )
    return value

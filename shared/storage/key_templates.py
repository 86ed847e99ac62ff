"""What a template of object keys may be: text and fields, read once so that every key made of it is a good one."""

import re
from collections.abc import Iterator

from shared.formats import FORMATS

RESERVED = "variants"
"""The first folder of all that is derived; no original lies there."""
OF_ENTITIES = frozenset({"entities", "entity_id", "display_id"})
"""Fields that only a media which hangs on an entity can fill."""
LONGEST = {
    "YYYY": 4, "MM": 2, "DD": 2, "timestamp": 14,
    "uuid": 36, "hex": 32, "number": 16, "random": 12,
    "name": 50, "ext": max(len(each) for known in FORMATS for each in known.extensions), "kind": 8, "owner": 80,
    "entities": 66, "entity_id": 80, "display_id": 80,
}  # fmt: skip
"""All fields, each with the most characters that it is filled with."""
FIELDS = frozenset(LONGEST)
MOST_BYTES = 1024  # of a key, in every S3 store
MOST_OF_A_FOLDER = 255  # of one part between slashes, where a store keeps objects as files
_BEFORE_RESERVED = len("originals/")  # what a key gets that would lie in the reserved folder
_PART = re.compile(r"\{(\w+)\}|([A-Za-z0-9_.\-/]+)")
_STANDS_ALONE = frozenset({"uuid", "hex", "number"})


def fields_of(template: str) -> frozenset[str]:
    """The fields of a template that has no fault."""
    return frozenset(field for field, _ in _PART.findall(template) if field)


def faults(template: str) -> Iterator[str]:
    """What is wrong with it, for whoever wrote it."""
    if _PART.sub("", template) or not template:
        yield (
            f"the key {template[:100]!r} is none; it is made of a-z, A-Z, 0-9, '.', '-', '_', '/' and fields such as "
            "{uuid}, which stand in braces by their names alone"
        )
        return
    fields = fields_of(template)
    if unknown := sorted(fields - FIELDS):
        yield f"the key has unknown fields {', '.join(unknown)}; there are {', '.join(sorted(FIELDS))}"
        return
    if not (fields & _STANDS_ALONE or {"random", "timestamp"} <= fields):
        yield "the key must contain one of {uuid}, {hex}, {number}, or {random} with {timestamp}, to tell media apart"
    if re.search(r"[}0-9]\{number\}|\{number\}[{0-9]", template):
        yield "the key needs a character that is no digit between {number} and what stands beside it"
    yield from _bad_folders(template)


def _bad_folders(template: str) -> Iterator[str]:
    folders = template.split("/")
    if any(folder == "" or folder.startswith(".") for folder in folders):
        yield (
            f"the key {template[:100]!r} must neither begin nor end with a slash, nor have two in a row or a part that "
            "begins with a dot"
        )
    if folders[0].lower() == RESERVED:
        yield f"the key must not begin with {RESERVED!r}, where the platform keeps what it makes"
    if (most := _BEFORE_RESERVED + _longest(template)) > MOST_BYTES:
        yield f"the key can become {most} bytes long; stores take at most {MOST_BYTES}"
    if (most := max(_longest(folder) for folder in folders)) > MOST_OF_A_FOLDER:
        yield f"a part of the key can become {most} bytes long; between two slashes at most {MOST_OF_A_FOLDER} go"


def _longest(template: str) -> int:
    return sum(LONGEST[field] if field else len(text) for field, text in _PART.findall(template))

"""What a file claims to be, by its name and its declared type, held against what its bytes are."""

from services.ingest.sniff import describe, is_text, sniff
from shared.errors import UnsupportedType
from shared.formats import (
    BY_EXTENSION,
    BY_NAME,
    OCTETS,
    UNKNOWN,
    Format,
    name_says_other,
    type_says_other,
)
from shared.names import extension

_NO_CLAIM = {
    "",
    OCTETS,
    "binary/octet-stream",
    "application/x-www-form-urlencoded",
    "*/*",
    "application/binary",
}
_PERCEIVED = {"image", "video", "audio"}


def recognise(head: bytes, *, whole: bool, filename: str, declared: str) -> Format:
    """The format of a file whose first bytes are `head` (all of it where `whole`).

    What the bytes are decides. Raises UnsupportedType where the name's extension or the declared type is
    known here and means something else, with both sides named.
    """
    found = sniff(head)
    by_extension = BY_EXTENSION.get(extension(filename), [])
    declared = declared.partition(";")[0].strip().lower()
    by_type = [] if declared in _NO_CLAIM else BY_NAME.get(declared, [])
    if found is UNKNOWN and is_text(head, whole=whole):
        found = _claimed_text(by_extension, by_type)
    if named := name_says_other(filename, found):
        raise _contradiction(f"The name {filename!r}", named, found, head)
    if typed := type_says_other(declared, found):
        raise _contradiction("Its declared type", typed, found, head)
    kind = declared.partition("/")[0]
    if not by_type and kind in _PERCEIVED and kind != found.mime.partition("/")[0]:
        raise _contradiction("Its declared type", declared, found, head)
    return found


def _claimed_text(by_extension: list[Format], by_type: list[Format]) -> Format:
    """Text has no magic bytes: it is what it claims to be, the extension before the declared type."""
    for claim in (*by_extension, *by_type):
        if claim.text:
            return claim
    return UNKNOWN


def _contradiction(who: str, claimed: str, found: Format, head: bytes) -> UnsupportedType:
    return UnsupportedType(
        f"{who} says {claimed}, but the bytes are {describe(found, head)}. "
        "Give the file the name and type of what it is.",
        claimed=claimed,
        found=found.mime,
    )

"""What a file claims to be, by its name and its declared type, held against what its bytes are."""

from services.ingest.formats import BY_EXTENSION, BY_NAME, OCTETS, UNKNOWN, Format
from services.ingest.sniff import describe, is_text, sniff
from shared.errors import UnsupportedType

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
    by_extension = BY_EXTENSION.get(_extension(filename), [])
    declared = declared.partition(";")[0].strip().lower()
    by_type = [] if declared in _NO_CLAIM else BY_NAME.get(declared, [])
    if found is UNKNOWN and is_text(head, whole=whole):
        found = _claimed_text(by_extension, by_type)
    if by_extension and not _fits(found, by_extension):
        raise _contradiction(f"The name {filename!r}", by_extension[0].mime, found, head)
    if by_type and not _fits(found, by_type):
        raise _contradiction("Its declared type", declared, found, head)
    kind = declared.partition("/")[0]
    if not by_type and kind in _PERCEIVED and kind != found.mime.partition("/")[0]:
        raise _contradiction("Its declared type", declared, found, head)
    return found


def _fits(found: Format, claimed: list[Format]) -> bool:
    # Whoever declares text/plain for a .csv or .md file is not wrong.
    return found in claimed or (found.text and any(claim.text for claim in claimed))


def _claimed_text(by_extension: list[Format], by_type: list[Format]) -> Format:
    """Text has no magic bytes: it is what it claims to be, the extension before the declared type."""
    for claim in (*by_extension, *by_type):
        if claim.text:
            return claim
    return UNKNOWN


def _extension(filename: str) -> str:
    stem, dot, extension = filename.rpartition(".")
    return extension.lower() if dot and stem else ""


def _contradiction(who: str, claimed: str, found: Format, head: bytes) -> UnsupportedType:
    return UnsupportedType(
        f"{who} says {claimed}, but the bytes are {describe(found, head)}. "
        "Give the file the name and type of what it is.",
        claimed=claimed,
        found=found.mime,
    )

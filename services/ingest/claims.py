"""What a file claims to be, by its name and its declared type, held against what its bytes are."""

from services.ingest import containers, office
from services.ingest.sniff import HEAD_BYTES, describe, sniff
from services.ingest.text import is_text
from shared.errors import UnsupportedType
from shared.formats import (
    BY_EXTENSION,
    BY_MIME,
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
_UNDECIDED = (UNKNOWN, BY_MIME["application/zip"])
_PERCEIVED = {"image", "video", "audio"}


def recognise(
    head: bytes, *, whole: bool, filename: str, declared: str, from_older_system: bool = False
) -> Format:
    """The format of a file whose first bytes are `head` (all of it where `whole`).

    What the bytes are decides, and a claim only what they leave open. Raises UnsupportedType where the name's
    extension or the declared type is known here and means something else, with both sides named. Text, and an
    office document whose parts do not show yet, are believed so far: their proof comes with the last byte. Older
    systems have let wrong names in, so of a picture, film or sound that comes `from_older_system` only the bytes count.
    """
    if len(head) > HEAD_BYTES:
        # The pieces of a body have any size, and what is seen must not depend on them.
        head, whole = head[:HEAD_BYTES], False
    found = sniff(head)
    by_extension = BY_EXTENSION.get(extension(filename), [])
    declared = declared.partition(";")[0].strip().lower()
    by_type = [] if declared in _NO_CLAIM else BY_NAME.get(declared, [])
    if found is UNKNOWN and is_text(head, whole=whole):
        found = _claimed_text(by_extension, by_type)
    else:
        found = _settled(found, (*by_extension[:1], *by_type[:1]), head, whole=whole)
    if from_older_system and found.media_type in _PERCEIVED:
        return found
    if named := name_says_other(filename, found):
        raise _contradiction(f"The name {filename!r}", named, found, head, whole=whole)
    if typed := type_says_other(declared, found):
        raise _contradiction("Its declared type", typed, found, head, whole=whole)
    kind = declared.partition("/")[0]
    if not by_type and kind in _PERCEIVED and kind != found.mime.partition("/")[0]:
        raise _contradiction("Its declared type", declared, found, head, whole=whole)
    return found


def _claimed_text(by_extension: list[Format], by_type: list[Format]) -> Format:
    """Text has no magic bytes: it is what it claims to be, the extension before the declared type."""
    for claim in (*by_extension, *by_type):
        if claim.text:
            return claim
    return UNKNOWN


def _settled(found: Format, claims: tuple[Format, ...], head: bytes, *, whole: bool) -> Format:
    """What was found, or what is claimed where the head leaves it open and it is of the same kind of container."""
    for claim in claims:
        if office.may_prove(claim, head) and office.needs_proof(claim, head):
            return claim if found in _UNDECIDED and (not whole or office.is_whole(claim, head)) else found
    sound = containers.sound_in(found, head)
    return sound if sound and claims and all(claim.media_type == "audio" for claim in claims) else found


def _contradiction(who: str, claimed: str, found: Format, head: bytes, *, whole: bool) -> UnsupportedType:
    return UnsupportedType(
        f"{who} says {claimed}, but the bytes are {describe(found, head, whole=whole)}. "
        "Give the file the name and type of what it is.",
        claimed=claimed,
        found=found.mime,
    )

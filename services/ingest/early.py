"""What can be refused before a byte of the file came, so that whoever asks first (`Expect: 100-continue`) need not
send it."""

from collections.abc import Callable
from functools import lru_cache

from services.ingest import rules
from services.ingest.source import Source
from shared.errors import Malformed, UnsupportedType
from shared.formats import FORMATS, UNKNOWN, Format, name_says_other, type_says_other
from shared.names import extension
from shared.profiles import Profile

_CODINGS = {"", "identity"}


def check_headers(*, encoding: str | None, content_range: str | None) -> None:
    """Bytes are stored as they come. Raises UnsupportedType where they are coded, Malformed for a part of a file."""
    if (encoding or "").strip().lower() not in _CODINGS:
        raise UnsupportedType(
            f"The Content-Encoding is {str(encoding)[:80]!r}; files are stored as they come, so send this one "
            "uncompressed and without that header."
        )
    if content_range is not None:
        raise Malformed(
            f"The Content-Range is {content_range[:80]!r}; this takes whole files. Leave the header out."
        )


def check_claims(profile: Profile, name: str, source: Source) -> None:
    """Raises UnsupportedType where a file of this name and declared type is refused whatever its bytes are, TooLarge
    where its announced size is over every limit that such a file may have."""
    declared = source.declared.partition(";")[0].strip().lower()
    possible = _possible(extension(source.filename)[:20], declared[:100])
    if not possible:
        named = _claimed(lambda found: name_says_other(source.filename, found))
        typed = _claimed(lambda found: type_says_other(declared, found))
        said = " and ".join(
            f"{what} says {claim}"
            for what, claim in ((f"the name {source.filename!r}", named), ("the declared type", typed))
            if claim
        )
        raise UnsupportedType(
            f"{said[:1].upper()}{said[1:]}: no file is taken here that is both what its bytes are and what is said "
            "of it.",
            claimed=typed or named,
        )
    taken = [found for found in possible if _taken(profile, found)]
    if not taken:
        rules.limit_of(profile, name, possible[0])
    if source.size is None:
        return
    widest = max(taken, key=lambda found: profile.max_bytes[found.media_type])
    limit = profile.max_bytes[widest.media_type]
    if source.size > limit:
        raise rules.too_large(limit, f"{widest.media_type} in profile {name!r}", widest, source.size)


def _claimed(other: Callable[[Format], str | None]) -> str | None:
    """What is claimed, where `other` tells it only of what it is not; programs and the like are no formats here."""
    return next((claim for found in (UNKNOWN, *FORMATS) if (claim := other(found))), None)


def _taken(profile: Profile, found: Format) -> bool:
    types = profile.takes(found.media_type)
    return found.media_type in profile.max_bytes and (not types or found.mime in types)


@lru_cache(maxsize=1024)
def _possible(kind: str, declared: str) -> tuple[Format, ...]:
    """What a file with this extension and declared type may turn out to be, first what it is named for."""
    name = f"file.{kind}" if kind else "file"
    found = (
        found
        for found in (*FORMATS, UNKNOWN)
        if not name_says_other(name, found) and not type_says_other(declared, found)
    )
    return tuple(sorted(found, key=lambda one: one.extension != kind))

"""Whether an upload may be: the profile's types, sizes and sides, and who may upload to what."""

import io
import math
import re
import struct

import imagesize
import msgspec

from services.ingest.limits import bytes_text
from shared import entities
from shared.attaching import check_attach
from shared.auth import Caller
from shared.entities import Entity
from shared.errors import Forbidden, Invalid, TooLarge, UnsupportedType
from shared.events.bus import KeyValue
from shared.events.messages import EntityLink, MediaType, PictureLimits
from shared.formats import Format
from shared.profiles import Profile, Profiles

_EARLY_SIDES = {
    *("image/jpeg", "image/png", "image/gif", "image/webp", "image/bmp", "image/tiff"),
    *("image/avif", "image/heic"),
}
_CROPPED = {"image/avif", "image/heic"}
_EXTENTS = re.compile(rb"ispe\0\0\0\0(.{8})", re.DOTALL)  # of HEIF and AVIF
_NEVER_DECODED = frozenset({"image/svg+xml"})
# The oldest header of BMP has sides of two bytes each, which imagesize reads as if they had four.
_OLDEST_BMP = (12).to_bytes(4, "little")


def check_caller(caller: Caller, profile: Profile, name: str) -> None:
    """Raises Forbidden where this profile is not for the caller."""
    if profile.who == "service" and not caller.governs:
        raise Forbidden(f"The profile {name!r} is for the service role; your token does not have it.")


async def check_entity(
    registry: KeyValue, caller: Caller, link: EntityLink, profile: Profile
) -> Entity | None:
    """The registered entity; None where a user without one hangs something on themself. Raises NotFound for an
    entity that is not registered, Forbidden where the caller may not attach to it."""
    entry = await registry.get(entities.key(link.type, link.id))
    entity = msgspec.json.decode(entry.value, type=Entity) if entry else None
    return check_attach(caller, link, entity, profile)


async def check_part(
    registry: KeyValue, caller: Caller, part: EntityLink, within: EntityLink, profile: Profile
) -> Entity | None:
    """`check_entity` for a part of another entity: that one's rights are needed, and the part's own where it is
    registered. The registered part, None where it is not."""
    await check_entity(registry, caller, within, profile)
    if await registry.get(entities.key(part.type, part.id)) is None:
        return None
    return await check_entity(registry, caller, part, profile)


def check_media_type(said: MediaType | None, found: Format) -> None:
    """Raises UnsupportedType where an upload says that its file is another type of media."""
    if said not in {None, found.media_type}:
        raise UnsupportedType(
            f"media_type says {said}, but the file is {found.mime} ({found.media_type}).",
            claimed=said,
            media_type=found.media_type,
            found=found.mime,
        )


def limit_of(profile: Profile, name: str, found: Format) -> int:
    """The most bytes that the profile takes of this format. Raises UnsupportedType where it takes none."""
    limit = profile.max_bytes.get(found.media_type)
    if limit is None:
        raise UnsupportedType(
            f"The profile {name!r} does not take {found.mime}; it takes {', '.join(profile.max_bytes)}.",
            allowed=list(_taken(profile)),
            media_type=found.media_type,
            found=found.mime,
        )
    types = profile.takes(found.media_type)
    if types and found.mime not in types:
        raise UnsupportedType(
            f"The profile {name!r} does not take {found.mime}; of {found.media_type} it takes {', '.join(types)}.",
            allowed=list(types),
            media_type=found.media_type,
            found=found.mime,
        )
    return limit


def _taken(profile: Profile) -> tuple[str, ...]:
    """What it takes: MIME types, and media types of which it takes all."""
    return tuple(each for kind in profile.max_bytes for each in profile.takes(kind) or (kind,))


def widest_limit(profiles: Profiles, found: Format) -> int:
    """The most bytes of this format that any of these profiles takes: the limit while it is not known which."""
    limits = [p.max_bytes[found.media_type] for p in profiles.values() if found.media_type in p.max_bytes]
    if not limits:
        raise UnsupportedType(
            f"No profile takes {found.mime}.",
            allowed=list(dict.fromkeys(each for profile in profiles.values() for each in _taken(profile))),
            media_type=found.media_type,
            found=found.mime,
        )
    return max(limits)


def too_large(limit: int, what: str, found: Format | None = None, size: int | None = None) -> TooLarge:
    """`size` where it is known: a file of unknown length is read to its limit and no further."""
    has = "is" if size is None else f"has {bytes_text(size)}, which is"
    detail = f"The file {has} larger than {bytes_text(limit)}, the most that {what} may have."
    if found is None:
        return TooLarge(detail, limit=limit)
    return TooLarge(detail, limit=limit, media_type=found.media_type)


def check_size(size: int, profile: Profile, name: str, found: Format) -> None:
    """Raises TooLarge, UnsupportedType, Invalid for a file that is too small."""
    limit = limit_of(profile, name, found)
    if size > limit:
        raise too_large(limit, f"{found.media_type} in profile {name!r}", found, size)
    least = profile.min_bytes.get(found.media_type, 0)
    if size < least:
        raise Invalid(
            f"The file has {bytes_text(size)}; {found.media_type} in profile {name!r} has at least "
            f"{bytes_text(least)}.",
            field="file",
            limit=least,
        )


def sides(found: Format, head: bytes) -> tuple[int, int] | None:
    """Width and height in pixels where the format has them early and they are in the head."""
    if found.mime not in _EARLY_SIDES or (found.mime in _CROPPED and b"clap" in head):
        return None  # where a part is cropped away, only the decoder knows what is left
    return _sides_in_header(found, head)


def decoded_sides(found: Format, head: bytes) -> tuple[int, int] | None:
    """Those of what a processor has to decode, before it crops; 0 where it decodes nothing, None where the head does
    not say."""
    if found.mime in _NEVER_DECODED:
        return 0, 0
    if found.mime in _CROPPED:  # the whole picture is the largest of those that it is made of
        told = (struct.unpack(">II", sides) for sides in _EXTENTS.findall(head))
        return max(told, key=math.prod, default=None)
    return _sides_in_header(found, head)


def _sides_in_header(found: Format, head: bytes) -> tuple[int, int] | None:
    if found.mime == "image/bmp" and head[14:18] == _OLDEST_BMP:
        width, height = int.from_bytes(head[18:20], "little"), int.from_bytes(head[20:22], "little")
    else:
        width, height = imagesize.get(io.BytesIO(head), exif_rotation=False)
    return (width, height) if width > 0 and height > 0 else None


def check_sides(size: tuple[int, int] | None, profile: Profile, name: str) -> None:
    """Raises Invalid that names sides, pixels and limit. None passes: the processor will see."""
    if size is None:
        return
    check_pixels(size, profile.max_pixels)
    width, height = size
    if min(size) < profile.min_side or max(size) > profile.max_side:
        raise Invalid(
            f"The picture is {width} x {height} pixels; in profile {name!r} each side has {profile.min_side} to "
            f"{profile.max_side}.",
            width=width,
            height=height,
            least=profile.min_side,
            most=profile.max_side,
        )


def check_pixels(size: tuple[int, int] | None, most: int) -> None:
    """Raises Invalid that names sides, pixels and limit. None passes: the processor will see."""
    if size is not None and size[0] * size[1] > most:
        width, height = size
        raise Invalid(
            f"The picture is {width} x {height} = {width * height} pixels ({width * height / 1e6:.4g} megapixels); "
            f"at most {most} ({most / 1e6:.4g} megapixels) are allowed.",
            width=width,
            height=height,
            limit=most,
        )


def picture_limits(profile: Profile, found: Format) -> PictureLimits | None:
    """What the processor is to hold a picture to: it alone sees the sides of those that do not tell them early, and
    nobody else whether a header told the truth."""
    if found.media_type != "image":
        return None
    return PictureLimits(min_side=profile.min_side, max_side=profile.max_side, max_pixels=profile.max_pixels)


def most_pixels(profiles: Profiles) -> int:
    """The widest pixel limit of all profiles."""
    return max(p.max_pixels for p in profiles.values())

"""What is wrong with profiles that somebody wrote, in words for whoever wrote them."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect

from shared.formats import BY_MIME, BY_NAME
from shared.slots import Slot
from shared.storage import key_templates

if TYPE_CHECKING:  # it is the profiles that have themselves looked at here
    from shared.profiles import Profile

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_NAMES = "1 to 64 of a-z, 0-9, '-' and '_', the first a letter"
_ANY = "*"
WITHOUT_PLACE = ("image/bmp", "image/jpeg")
"""The formats out of which ingest can take the place: BMP holds none."""
_AT = re.compile(r"(?P<what>.*) - at (?:`key` in )?`\$\.?(?P<path>.*)`")
_PLAINLY = (
    (r"Object contains unknown field `(.*)`", r"\1 is no field"),
    (r"Object missing required field `(.*)`", r"the field \1 is missing"),
    (r"Invalid enum value (.*)", r"\1 is none"),
    (r"`object` of length >= 1", "a table that names at least one"),
    (r"Expected", "allowed is"),
    (r", got `.*`", ""),
    (r"`int`", "a whole number"),
    (r"`str`", "a text"),
    (r"`bool`", "true or false"),
    (r"`array`", "a list"),
    (r"`object`", "a table"),
    (r">= ", "of at least "),
    (r"<= ", "of at most "),
)
"""How msgspec puts it, and how an operator is told."""
_SHOWN = 100


def of_name(name: str) -> Iterator[str]:
    if not _NAME.fullmatch(name):
        yield f"it cannot have that name; allowed are {_NAMES}"


def of_shape(table: Any, error: msgspec.ValidationError, form: type[msgspec.Struct]) -> str:
    """Why a table of the file is no such profile: the field, what it says, and what it may say."""
    if not isinstance(table, dict):
        return f"it is {_shown(table)}, and a profile is a table of fields"
    found = _AT.fullmatch(str(error))
    what, path = (found["what"], found["path"]) if found else (str(error), "")
    for pattern, plainly in _PLAINLY:
        what = re.sub(pattern, plainly, what)
    field = re.split(r"[.\[]", path, maxsplit=1)[0]
    said = f"{field} is {_shown(table.get(field))}: " if field else ""
    if "is no field" in what:
        names = (Slot if field == "slots" else form).__struct_fields__
        return f"{said}{what}; there are {', '.join(names)}"
    if "is none" in what:
        types = {each.name: each.type for each in inspect.type_info(form).fields}  # type: ignore[attr-defined]
        return f"{said}{what}; there are {', '.join(_literals(types[field]))}"
    return f"{said}{what}"


def of_profile(profile: "Profile", recipes: Iterable[str]) -> Iterator[str]:
    """All that is wrong with one by itself."""
    if profile.recipe not in recipes:
        yield f"there is no recipe {profile.recipe[:_SHOWN]!r}; there are {', '.join(sorted(recipes))}"
    yield from key_templates.faults(profile.key)
    yield from _of_limits(profile)
    yield from _of_types(profile)
    yield from _of_places(profile)


def between(profiles: Mapping[str, "Profile"]) -> Iterator[str]:
    """What two profiles want that only one can have, and what those that others rely on must not be."""
    default = profiles.get("default")
    if default is not None and key_templates.OF_ENTITIES & key_templates.fields_of(default.key):
        yield (
            "the key of profile 'default' names an entity; it is also that of files whose entity is told behind them, "
            "so it must do without"
        )
    owners: dict[str, str] = {}
    told = set()
    for name, profile in profiles.items():
        for claim in sorted({*_claims(profile)}):
            if (other := owners.setdefault(claim, name)) != name and (name, other) not in told:
                told.add((name, other))
                yield (
                    f"profile {name!r} and profile {other!r} both have {claim}; one may. To give it to {name!r}, let "
                    f"the file replace {other!r} as well, without it"
                )


def _of_limits(profile: "Profile") -> Iterator[str]:
    for kind, least in profile.min_bytes.items():
        most = profile.max_bytes.get(kind)
        if most is None:
            yield f"min_bytes names {kind}, which max_bytes does not, so none is taken"
        elif least > most:
            yield f"min_bytes of {kind} is {least}, more than max_bytes, {most}"
    for kind in profile.keep_failed:
        if kind not in profile.max_bytes:
            yield f"keep_failed names {kind}, which max_bytes does not, so none is taken"
    if profile.min_side > profile.max_side:
        yield f"min_side is {profile.min_side}, more than max_side, {profile.max_side}"
    elif profile.min_side**2 > profile.max_pixels:
        yield (
            f"max_pixels is {profile.max_pixels}, and no picture of min_side {profile.min_side} has as few: the least "
            f"is {profile.min_side**2}"
        )


def _of_types(profile: "Profile") -> Iterator[str]:
    for mime in profile.types:
        if mime in BY_MIME:
            if BY_MIME[mime].media_type not in profile.max_bytes:
                yield f"types has {mime}, and max_bytes no {BY_MIME[mime].media_type}, so none is taken"
        elif mime in BY_NAME:
            yield f"types has {mime!r}, which is written {BY_NAME[mime][0].mime} here"
        else:
            yield f"types has {mime[:_SHOWN]!r}, which is unknown; there are {', '.join(BY_MIME)}"
    yield from _twice("types", profile.types)
    others = set(profile.types or ["all"]) - set(WITHOUT_PLACE) or set(profile.max_bytes) - {"image"}
    if profile.strip_gps and others:
        yield (
            f"strip_gps can be kept for images of types {' and '.join(WITHOUT_PLACE)} alone, and this takes "
            f"{', '.join(sorted(others))}"
        )


def _of_places(profile: "Profile") -> Iterator[str]:
    for slot in profile.slots:
        if fault := slot.fault():
            yield fault
            return
    for kind in profile.entities:
        if not _NAME.fullmatch(kind):
            yield f"entities has {kind[:_SHOWN]!r}, which can be no type of an entity; allowed are {_NAMES}"
    for claim in profile.general:
        words = claim.split("/")
        if claim != _ANY and (len(words) > 2 or not all(_NAME.fullmatch(word) for word in words)):
            yield f"general has {claim[:_SHOWN]!r}; allowed are 'type/field', 'type' and '*'"
    yield from _twice("entities", profile.entities)
    yield from _twice("general", profile.general)
    twice = itertools.chain(
        _twice("slots", (slot.path for slot in profile.slots)),
        _twice("slots, as type and field of the entity,", (_hung_on(slot) for slot in profile.slots)),
        _twice("slots, as names in the OpenAPI document,", (slot.operation for slot in profile.slots)),
    )
    yield from itertools.islice(twice, 1)  # the first says it all
    hung_on = {slot.entity_type for slot in profile.slots} | {g.partition("/")[0] for g in profile.general}
    if profile.entities and (others := sorted(hung_on - set(profile.entities))):
        yield (
            f"slots and general lead here what hangs on {', '.join(map(repr, others))}, and entities allows "
            f"{', '.join(profile.entities)} alone"
        )


def _claims(profile: "Profile") -> Iterator[str]:
    """What no other profile may have, in words."""
    for slot in profile.slots:
        yield f"the slot {slot.path!r}"
        yield f"a slot for {_hung_on(slot)!r}"
        yield f"a slot called {slot.operation} in the OpenAPI document"
    for claim in profile.general:
        yield f"general {claim!r}"


def _hung_on(slot: Slot) -> str:
    return f"{slot.entity_type}/{slot.entity_field}"


def _twice(what: str, values: Iterable[str]) -> Iterator[str]:
    for value, count in Counter(values).items():
        if count > 1:
            yield f"{what} has {value!r} {count} times"


def _literals(kind: inspect.Type) -> tuple[str, ...]:
    """The words that a field of this type may have somewhere."""
    match kind:
        case inspect.LiteralType():
            return tuple(str(value) for value in kind.values)
        case inspect.DictType():
            return _literals(kind.key_type)
        case inspect.VarTupleType():
            return _literals(kind.item_type)
        case inspect.StructType():
            return tuple(word for field in kind.fields for word in _literals(field.type))
        case inspect.Metadata():
            return _literals(kind.type)
    return ()


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."

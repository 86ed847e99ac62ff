import uuid
from datetime import UTC, datetime

import pytest

from shared.formats import FORMATS
from shared.ids import new_id
from shared.storage import keys
from shared.storage.key_templates import FIELDS, LONGEST, faults, fields_of

LATE = new_id(int(datetime(9999, 12, 31, tzinfo=UTC).timestamp() * 1000))


def filled(template: str, *, filename: str = "a.png", entity: str = "team", owner: str = "ann") -> str:
    place = keys.Place(type=entity, id="7" * 255, display_id="D" * 255)
    naming = keys.Naming(
        media_id=LATE,
        number=2**53 - 1,
        owner=owner,
        kind="document",
        filename=filename,
        extension=max((each for known in FORMATS for each in known.extensions), key=len),
        entity=place,
    )
    return keys.original(template, naming)


@pytest.mark.parametrize(
    "template",
    ["{uuid", "{uuid}}", "{{uuid}}", "{uuid!x}", "{uuid!r}", "{uuid:d}", "{uuid:.1}", "{uuid:>99999}", "{uuid}{}",
     "{uuid[0]}", "{uuid}{name.__class__}", "{name:{uuid}}", "{number:03}", "{entity_id!s}/{uuid}", "{uuid}\0",
     "{uuid}\n", "{uuid}\x7f", "ä{uuid}", "{uuid} x", "a\\{uuid}", "{uuid}?", "%2e/{uuid}", "\u202e{uuid}", ""],
)  # fmt: skip
def test_a_template_of_anything_but_plain_text_and_bare_fields_is_none(template: str) -> None:
    (fault,) = faults(template)
    assert "is none" in fault
    assert fault.isprintable()


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{uuid}{0}", "unknown fields 0; there are DD"),
        ("{secret}/{UUID}/{uuid}", "unknown fields UUID, secret;"),
        ("{name}.{ext}", "must contain one of {uuid}, {hex}, {number}, or {random} with {timestamp}"),
        ("{random}", "must contain one of"),
        ("{name}{number}", "between {number} and what stands beside it"),
        ("{number}{YYYY}", "between {number} and what stands beside it"),
        ("v2{number}", "between {number} and what stands beside it"),
        ("../{uuid}", "begins with a dot"),
        ("a/../{uuid}", "begins with a dot"),
        ("./variants/{uuid}", "begins with a dot"),
        (".{uuid}", "begins with a dot"),
        ("/{uuid}", "neither begin nor end with a slash"),
        ("{uuid}/", "neither begin nor end with a slash"),
        ("a//{uuid}", "nor have two in a row"),
        ("variants/{uuid}", "must not begin with 'variants'"),
        ("Variants/{uuid}", "must not begin with 'variants'"),
        ("{uuid}/" + "/".join(["a" * 200] * 5), "can become 1051 bytes long; stores take at most 1024"),
        ("a" * 220 + "{uuid}", "a part of the key can become 256 bytes long"),
        ("{entity_id}{display_id}{entities}{uuid}", "a part of the key can become 262 bytes long"),
    ],
)  # fmt: skip
def test_a_template_whose_keys_would_be_bad_is_told(template: str, says: str) -> None:
    (fault,) = faults(template)
    assert says in fault


@pytest.mark.parametrize(
    "template",
    ["{uuid}", "a.b/{YYYY}-{MM}/{number}_{name}.{ext}", "variants{uuid}", "my-variants/{timestamp}{random}"],
)
def test_a_template_that_makes_good_keys_has_no_fault(template: str) -> None:
    assert not list(faults(template))


def test_the_fields_of_a_template_are_known() -> None:
    assert fields_of("x/{uuid}_{name}.{ext}") == {"uuid", "name", "ext"}
    assert keys.needs_entity("{display_id}/{uuid}")
    assert not keys.needs_entity("{owner}/{uuid}")


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_no_field_is_filled_with_more_than_it_is_counted_for(field: str) -> None:
    found = filled(f"{{{field}}}", filename="n" * 300 + ".png", entity="t" * 63 + "y", owner="o" * 300)
    assert len(found) == LONGEST[field]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{entities}/{uuid}", {"entity": "variant"}),
        ("{name}/{uuid}", {"filename": "variants.png"}),
        ("{owner}/{uuid}", {"owner": "Variants"}),
    ],
)
def test_no_word_of_a_client_puts_an_original_among_the_variants(template: str, said: dict[str, str]) -> None:
    key = filled(template, **said)
    assert key.lower() == f"originals/variants/{uuid.UUID(int=LATE.int)}"

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ids import new_id
from shared.storage import keys

TEMPLATE = "{YYYY}/{MM}/{DD}/{uuid}_{name}.{ext}"
AN_ID = new_id(1_700_000_000_000)


def naming(filename: str, extension: str) -> keys.Naming:
    return keys.Naming(
        media_id=AN_ID,
        number=7,
        owner="ann/../b",
        kind="image",
        filename=filename,
        extension=extension,
        entity=keys.Place(type="sales_rep", id="../12", display_id="REP-12"),
    )


def test_invariant_11_a_key_holds_the_utc_date_of_its_id() -> None:
    key = keys.original(TEMPLATE, naming("Sommer in Köln.JPG", "jpg"))
    assert key == f"2023/11/14/{AN_ID}_sommer-in-koln.jpg"


@given(st.text(max_size=300))
def test_no_file_name_of_a_client_reaches_a_key_unsanitised(filename: str) -> None:
    key = keys.original(TEMPLATE, naming(filename, "bin"))
    assert re.fullmatch(r"2023/11/14/[0-9a-f-]{36}_[a-z0-9_-]{1,50}\.bin", key)


def test_a_template_names_owner_entity_number_and_time() -> None:
    template = (
        "{entities}/{kind}s/{entity_id}/{display_id}/{owner}/{number}_{name}-{timestamp}-{random}.{ext}"
    )
    key = keys.original(template, naming("a_b.jpg", "jpg"))
    random = AN_ID.hex[-12:]
    assert key == f"sales-reps/images/12/REP-12/ann-b/7_a_b-20231114221320-{random}.jpg"


@pytest.mark.parametrize(
    ("filename", "slug"),
    [
        ("../../etc/passwd", "passwd"),
        ("a\x00b.png", "a-b"),
        ("C:\\temp\\photo.final.jpg", "photo-final"),
        ("日本.jpg", "file"),
        (".htaccess", "htaccess"),
        ("x" * 10_000, "x" * 50),
        ("\u202egnp.exe", "gnp"),
        ("", "file"),
    ],
)
def test_a_slug_keeps_what_is_harmless(filename: str, slug: str) -> None:
    assert keys.slug(filename) == slug


def test_variants_lie_below_a_prefix_that_no_other_media_shares() -> None:
    key = keys.variant(AN_ID, spec="0a1b2c3d", name="thumbnail", extension="jpg")
    assert key == f"variants/2023/11/14/{AN_ID}/0a1b2c3d-thumbnail.jpg"
    assert key.startswith(keys.variants(AN_ID))


def test_two_media_of_one_day_have_different_prefixes() -> None:
    assert keys.variants(AN_ID) != keys.variants(uuid.UUID(int=AN_ID.int ^ 1))


def test_a_rendering_is_told_by_its_key_and_lies_among_the_variants_of_its_media() -> None:
    key = keys.rendering(AN_ID, made="0123456789abcdef", extension="webp")
    assert key.startswith(keys.variants(AN_ID))
    assert keys.rendering_of(key) == AN_ID
    for other in (
        keys.variant(AN_ID, spec="01234567", name="render", extension="webp"),
        f"{key}/x",
        f"originals/{key}",
        key.replace("render-", "Render-"),
        keys.variants(AN_ID),
    ):
        assert keys.rendering_of(other) is None

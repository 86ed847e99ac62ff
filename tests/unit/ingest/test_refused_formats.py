import pytest

from services.ingest import rules
from shared import profiles
from shared.dialects import entities
from shared.env import Env
from shared.errors import UnsupportedType
from shared.formats import BY_MIME
from shared.profiles import Profile

PICTURES = "JPG, PNG, GIF, WebP, BMP, TIFF"
OWN = """
[narrow]
recipe = "entity"
key = "{uuid}.{ext}"
max_bytes = { image = 10, video = 10 }
types = ["image/webp", "image/png", "image/avif", "video/mp4"]

[sounds]
recipe = "entity"
key = "{uuid}.{ext}"
max_bytes = { audio = 10, image = 10 }
types = ["audio/flac"]
"""
KNOWN: dict[str, Profile] = {**profiles.parse(OWN.encode(), "the tests"), **profiles.load(Env({}))}


@pytest.mark.parametrize(
    ("name", "mime", "allowed"),
    [
        ("avatar", "application/pdf", PICTURES),
        ("avatar", "image/avif", PICTURES),
        ("gallery", "application/pdf", f"{PICTURES}; MP4, MOV, AVI, MKV, WebM, M4V"),
        ("narrow", "image/jpeg", "PNG, WebP, AVIF"),
        ("narrow", "application/pdf", "PNG, WebP, AVIF; MP4, M4V"),
        ("sounds", "video/mp4", "FLAC; every image"),
    ],
)
def test_a_refusal_names_the_formats_of_its_profile_as_the_document_writes_them(
    name: str, mime: str, allowed: str
) -> None:
    with pytest.raises(UnsupportedType) as refused:
        rules.limit_of(KNOWN[name], name, BY_MIME[mime])
    said = entities.reword(refused.value)
    assert (said.status, said.detail) == (
        400, f"Invalid file type. The file is {mime}; allowed are {allowed}.",
    )  # fmt: skip


def test_while_it_is_not_known_what_a_file_hangs_on_the_formats_of_all_are_named() -> None:
    known = {name: KNOWN[name] for name in ("avatar", "narrow")}
    with pytest.raises(UnsupportedType) as refused:
        rules.widest_limit(known, BY_MIME["application/pdf"])
    assert (
        "allowed are JPG, PNG, GIF, WebP, BMP, TIFF, AVIF; MP4, M4V." in entities.reword(refused.value).detail
    )

"""The addresses that the content and mediafiles APIs give their files lead back to the media, and no others do."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import profiles
from shared.dialects import content, mediafiles
from shared.dialects.view import View, of_upload
from shared.env import Env
from shared.errors import Conflict, Invalid, Malformed, TooLarge, TripodError, UnsupportedType
from shared.events.messages import MediaUploaded
from shared.ids import new_id
from shared.media import Variant
from shared.names import display_name
from shared.storage import keys

PROFILES = profiles.load(Env({"TRIPOD_ENV": "development"}))
ORIGIN = "http://origin.test"


def view(profile: str, name: str, number: int, *variants: str) -> View:
    """A PNG of that API as ingest would have taken it, with those variants, all JPEG."""
    media_id, filename = new_id(), display_name(name)
    naming = keys.Naming(
        media_id=media_id, number=number, owner="7", kind="image", filename=filename, extension="png"
    )
    event = MediaUploaded(
        id=media_id, number=number, owner="7", profile=profile, recipe=profile, filename=filename,
        key=keys.original(PROFILES[profile].key, naming), mime_type="image/png", media_type="image", size=1,
        sha256="0" * 64, is_public=True, created_at=datetime.now(UTC),
    )  # fmt: skip
    made = tuple(
        Variant(name=each, mime_type="image/jpeg", width=1, height=1, size=1, url="x") for each in variants
    )
    shown = of_upload(event, ORIGIN)
    return msgspec.structs.replace(shown, media=msgspec.structs.replace(shown.media, variants=made))


@given(name=st.text(max_size=80))
def test_both_addresses_of_a_content_media_lead_back_to_it(name: str) -> None:
    taken, other = view("content", name, 1, "thumbnail"), view("content", name, 2)
    shown = content.shape(taken, ORIGIN)
    for url, thumbnail in ((shown.url, False), (shown.thumbnail_url or "", True)):
        path = url.removeprefix(f"{ORIGIN}/api/v1/media/files/")
        found = content.named(path)
        assert found == content.Named(media_id=taken.media.id, thumbnail=thumbnail)
        assert content.leads_to(taken, path)
        assert not content.leads_to(other, path)
    assert shown.thumbnail_url == shown.url.replace(".png", "_thumb.jpg")


@given(name=st.text(max_size=80), number=st.integers(1, 2**53 - 1))
def test_every_address_of_a_mediafile_leads_back_to_it(name: str, number: int) -> None:
    taken = view("mediafiles", name, number)
    urls = msgspec.to_builtins(mediafiles.shape(taken, ORIGIN).urls)
    assert set(urls) == {*mediafiles.PLACES, "original"} - {mediafiles.TRANSCODED}
    original = urls.pop("original").removeprefix(f"{ORIGIN}/media/")
    assert original == taken.key
    assert mediafiles.number_of(original.rsplit("/", 1)[1]) == number
    for variant, url in urls.items():
        path = url.removeprefix(f"{ORIGIN}/media/")
        assert mediafiles.variant_of(path.rsplit("/", 1)[1]) == (number, variant)
        assert mediafiles.variant_path(taken, variant) == path


@given(st.text(max_size=120))
def test_no_path_makes_the_readers_of_paths_stumble(path: str) -> None:
    taken = view("content", "a", 1)
    assert content.leads_to(taken, path) is (path == taken.key)
    for read in (content.named, mediafiles.variant_of, mediafiles.number_of, content.parse_uuid):
        read(path)


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (
            TooLarge("x", limit=10 * 2**20, media_type="image"),
            400,
            "File too large: the maximum size for image is 10 MB",
        ),
        (TooLarge("x", limit=100), 413, "x"),
        (UnsupportedType("why", found="image/bmp"), 400, "Invalid file type: why"),
        (UnsupportedType("no form"), 415, "no form"),
        (Invalid("why", field="metadata"), 400, "Invalid metadata JSON: why"),
        (Invalid("why", field="filename"), 422, "why"),
        (Conflict("busy"), 409, "busy"),
    ],
)
def test_content_words_what_its_document_names_and_leaves_the_rest(
    error: TripodError, status: int, text: str
) -> None:
    said = content.reword(error)
    assert (said.status, said.detail) == (status, text)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TooLarge("x", limit=3 * 2**19), "File size exceeds maximum allowed size (1.5 MB)"),
        (
            TooLarge("x", limit=2**20, media_type="audio"),
            "File size exceeds maximum allowed size (1 MB for audio files)",
        ),
        (Invalid("why", field="is_public"), "why"),
    ],
)
def test_mediafiles_refuse_a_file_as_a_bad_request(error: TripodError, text: str) -> None:
    said = mediafiles.reword(error)
    assert (type(said), said.detail, said.extra) == (Malformed, text, error.extra)

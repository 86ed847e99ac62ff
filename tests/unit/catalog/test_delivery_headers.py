"""What goes with bytes: names, dispositions and caching."""

import time
import uuid
from datetime import UTC, datetime
from email.message import EmailMessage
from urllib.parse import unquote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.conditions import Conditions
from services.catalog.delivery import Asked, File, content_disposition, headers, variant_filename
from services.catalog.schemas import Disposition
from shared.events.messages import VariantRef

FILE = File(
    media_id=uuid.UUID(int=7),
    key="k",
    size=3,
    mime_type="image/jpeg",
    filename="a.jpg",
    etag='"e"',
    version="12345678",
    modified=datetime(2026, 1, 1, tzinfo=UTC),
    shown="attachment",
    is_public=False,
)
PLAIN = Asked(conditions=Conditions())


def sent(file: File = FILE, **asked: object) -> dict[str, str]:
    return headers(file, msgspec.structs.replace(PLAIN, **asked))


def test_a_plain_name_is_sent_as_it_is() -> None:
    assert (
        content_disposition("attachment", "a b.jpg")
        == "attachment; filename=\"a b.jpg\"; filename*=UTF-8''a%20b.jpg"
    )


def test_a_foreign_name_has_an_ascii_stand_in() -> None:
    header = content_disposition("inline", "Köln.jpg")
    assert header == "inline; filename=\"K_ln.jpg\"; filename*=UTF-8''K%C3%B6ln.jpg"


@given(st.text(min_size=1, max_size=100))
def test_no_name_breaks_out_of_the_header(name: str) -> None:
    header = content_disposition("attachment", name)
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
    assert header.count(";") - header.split('"')[1].count(";") == 2
    assert unquote(header.rsplit("''", 1)[1]) == name.encode(errors="replace").decode()
    message = EmailMessage()
    message["Content-Disposition"] = header
    assert message.get_content_disposition() == "attachment"


@pytest.mark.parametrize(
    ("mime_type", "wanted", "expected"),
    [
        ("image/jpeg", None, "attachment"),
        ("image/jpeg", "inline", "inline"),
        ("video/mp4", "inline", "inline"),
        ("audio/mpeg", "inline", "inline"),
        ("image/svg+xml", "inline", "attachment"),
        ("image/heic", "inline", "attachment"),
        ("text/html", "inline", "attachment"),
        ("application/pdf", "inline", "attachment"),
        ("application/octet-stream", "inline", "attachment"),
    ],
)
def test_an_original_is_inline_only_when_asked_and_harmless(
    mime_type: str, wanted: Disposition | None, expected: str
) -> None:
    header = sent(msgspec.structs.replace(FILE, mime_type=mime_type), disposition=wanted)[
        "Content-Disposition"
    ]
    assert header.startswith(f"{expected};")


def test_a_variant_is_inline_unless_asked_otherwise() -> None:
    made = msgspec.structs.replace(FILE, shown="inline")
    assert sent(made)["Content-Disposition"].startswith("inline;")
    assert sent(made, disposition="attachment")["Content-Disposition"].startswith("attachment;")


def test_every_answer_forbids_sniffing_and_scripts() -> None:
    fields = sent()
    assert fields["X-Content-Type-Options"] == "nosniff"
    assert fields["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert fields["ETag"] == '"e"'
    assert fields["Last-Modified"] == "Thu, 01 Jan 2026 00:00:00 GMT"


@pytest.mark.parametrize(
    ("is_public", "version", "expected"),
    [
        (False, None, "private, no-cache"),
        (True, None, "public, no-cache"),
        (False, "12345678", "private, max-age=31536000, immutable"),
        (True, "12345678", "public, max-age=31536000, immutable, s-maxage=600"),
        (True, "other", "public, no-cache"),
        (True, "", "public, no-cache"),
    ],
)
def test_only_a_matching_version_is_immutable(version: str | None, expected: str, *, is_public: bool) -> None:
    assert (
        sent(msgspec.structs.replace(FILE, is_public=is_public), version=version)["Cache-Control"] == expected
    )


def test_a_shared_cache_keeps_for_long_only_where_it_is_told_what_to_forget() -> None:
    public = msgspec.structs.replace(FILE, is_public=True)
    until = int(time.time()) + 100
    assert (
        sent(public, version=FILE.version, told=True)["Cache-Control"]
        == "public, max-age=31536000, immutable"
    )
    assert "s-maxage" not in sent(public, until=until, told=True)["Cache-Control"]
    assert sent(public, until=until)["Cache-Control"].partition("s-maxage=")[2] in {"99", "100"}
    assert sent(public)["Cache-Control"] == "public, no-cache"


def test_what_a_link_shows_may_be_kept_as_long_as_the_link_lives() -> None:
    assert sent(until=0)["Cache-Control"] == "private, max-age=0"
    # Also where the address has the version: the right to it ends.
    assert sent(until=int(time.time()) + 100, version=FILE.version)["Cache-Control"] in {
        "private, max-age=100",
        "private, max-age=99",
    }


def test_shared_caches_are_told_by_which_key_they_will_have_to_forget_it() -> None:
    public = sent(msgspec.structs.replace(FILE, is_public=True))
    assert public["Surrogate-Key"] == public["Cache-Tag"] == f"media-{FILE.media_id}"
    assert not {"Surrogate-Key", "Cache-Tag"} & sent().keys()


@pytest.mark.parametrize(
    ("name", "expected"), [("a.png", "a-small.webp"), (".x", ".x-small.webp"), ("b", "b-small.webp")]
)
def test_a_variant_is_named_after_its_original(name: str, expected: str) -> None:
    ref = VariantRef(name="small", key="k", mime_type="image/webp", width=1, height=1, size=1, spec="s")
    assert variant_filename(name, ref) == expected

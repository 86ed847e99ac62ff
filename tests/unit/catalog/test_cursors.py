"""Cursors: what was written is read, and nothing else is."""

import base64
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog import cursors
from shared.errors import Invalid

SECRET = "s" * 32
WHEN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
ID = uuid.UUID("01890000-0000-7000-8000-000000000001")


@given(
    when=st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    media_id=st.uuids(),
)
def test_a_cursor_keeps_its_place_to_the_microsecond(when: datetime, media_id: uuid.UUID) -> None:
    written = cursors.write(SECRET, cursors.place("-created_at", when, media_id))
    found = cursors.read(SECRET, written, sort="-created_at")
    assert (found.at, found.id) == (when, media_id)


def test_a_cursor_needs_no_escaping_in_a_query() -> None:
    written = cursors.write(SECRET, cursors.place("created_at", WHEN, ID))
    assert set(written) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "not base64!", "é", "A" * 500])
def test_what_we_did_not_write_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid) as refusal:
        cursors.read(SECRET, cursor, sort="created_at")
    assert refusal.value.extra["field"] == "cursor"


def test_a_changed_cursor_is_refused() -> None:
    written = cursors.write(SECRET, cursors.place("created_at", WHEN, ID))
    raw = bytearray(base64.urlsafe_b64decode(written + "=" * (-len(written) % 4)))
    raw[-3] ^= 1
    with pytest.raises(Invalid):
        cursors.read(SECRET, base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("="), sort="created_at")


def test_a_cursor_of_another_secret_is_refused() -> None:
    written = cursors.write("t" * 32, cursors.place("created_at", WHEN, ID))
    with pytest.raises(Invalid):
        cursors.read(SECRET, written, sort="created_at")


def test_a_cursor_of_another_order_says_so() -> None:
    written = cursors.write(SECRET, cursors.place("created_at", WHEN + timedelta(seconds=1), ID))
    with pytest.raises(Invalid, match="sort=created_at"):
        cursors.read(SECRET, written, sort="-created_at")

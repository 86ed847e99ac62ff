"""Cursors: what was written is read, and nothing else is."""

import base64
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog import cursors
from shared.auth import ANONYMOUS, Caller
from shared.errors import Invalid

SECRET = "s" * 32
ANN = Caller(sub="ann")
WHEN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
ID = uuid.UUID("01890000-0000-7000-8000-000000000001")


@given(
    when=st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    media_id=st.uuids(),
)
def test_a_cursor_keeps_its_place_to_the_microsecond(when: datetime, media_id: uuid.UUID) -> None:
    written = cursors.write(SECRET, cursors.place("-created_at", when, media_id), ANN)
    found = cursors.read(SECRET, written, ANN, sort="-created_at")
    assert (found.at, found.id) == (when, media_id)


def test_a_cursor_needs_no_escaping_in_a_query() -> None:
    written = cursors.write(SECRET, cursors.place("created_at", WHEN, ID), ANN)
    assert set(written) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "not base64!", "é", "A" * 500])
def test_what_we_did_not_write_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid) as refusal:
        cursors.read(SECRET, cursor, ANN, sort="created_at")
    assert refusal.value.extra["field"] == "cursor"


def test_a_changed_cursor_is_refused() -> None:
    written = cursors.write(SECRET, cursors.place("created_at", WHEN, ID), ANN)
    raw = bytearray(base64.urlsafe_b64decode(written + "=" * (-len(written) % 4)))
    raw[-3] ^= 1
    with pytest.raises(Invalid):
        cursors.read(
            SECRET, base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("="), ANN, sort="created_at"
        )


def test_a_cursor_of_another_secret_is_refused() -> None:
    written = cursors.write("t" * 32, cursors.place("created_at", WHEN, ID), ANN)
    with pytest.raises(Invalid):
        cursors.read(SECRET, written, ANN, sort="created_at")


def test_a_cursor_shows_nothing_of_the_row_that_it_is_a_place_of() -> None:
    where = cursors.place("filename", "diagnosis.pdf", ID)
    raws = [
        base64.urlsafe_b64decode(written + "=" * (-len(written) % 4))
        for written in (cursors.write(SECRET, where, ANN) for _ in range(2))
    ]
    for raw in raws:
        assert not [part for part in (b"filename", b"diag", str(ID).encode(), ID.bytes) if part in raw]
    assert raws[0] != raws[1]


@pytest.mark.parametrize("other", [Caller(sub="bob"), Caller(sub="ann "), ANONYMOUS])
def test_a_cursor_of_somebody_else_is_refused(other: Caller) -> None:
    written = cursors.write(SECRET, cursors.place("created_at", WHEN, ID), ANN)
    with pytest.raises(Invalid, match="to you"):
        cursors.read(SECRET, written, other, sort="created_at")


def test_a_cursor_of_another_order_says_so() -> None:
    written = cursors.write(SECRET, cursors.place("created_at", WHEN + timedelta(seconds=1), ID), ANN)
    with pytest.raises(Invalid, match="sort=created_at"):
        cursors.read(SECRET, written, ANN, sort="-created_at")

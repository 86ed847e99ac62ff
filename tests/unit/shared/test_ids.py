import uuid
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from shared.ids import id_time, new_id, parse_ref, public_id


def test_a_new_id_is_a_uuid_of_version_7_that_carries_its_time() -> None:
    made = new_id(1_700_000_000_123)
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert id_time(made) == datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=UTC)


def test_ids_sort_by_the_millisecond_in_which_they_were_made() -> None:
    ids = [new_id(ms) for ms in range(1_700_000_000_000, 1_700_000_000_200)]
    assert ids == sorted(ids)
    assert len({new_id(5) for _ in range(1000)}) == 1000


@given(st.uuids())
def test_a_public_id_reads_back_as_the_same_uuid_in_any_case(media_id: uuid.UUID) -> None:
    shown = public_id(media_id)
    assert shown.startswith("MED-")
    assert len(shown) == 30
    assert parse_ref(shown) == parse_ref(shown.lower()) == parse_ref(str(media_id)) == media_id


def test_letters_that_look_like_digits_are_read_as_those_digits() -> None:
    shown = public_id(uuid.UUID(int=1))
    assert parse_ref(shown[:-1] + "I") == parse_ref(shown[:-1] + "l") == uuid.UUID(int=1)
    assert parse_ref(shown.replace("0", "O")) == uuid.UUID(int=1)


@given(st.text(max_size=60))
def test_any_other_text_is_no_reference_and_raises_nothing(text: str) -> None:
    found = parse_ref(text)
    assert found is None or text.upper().startswith("MED-") or str(found) == text.lower()


def test_a_public_id_beyond_128_bits_is_none() -> None:
    assert parse_ref("MED-" + "Z" * 26) is None

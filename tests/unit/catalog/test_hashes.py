"""Perceptual hashes as texts and numbers, and what a distance is called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.hashes import from_hex, to_hex
from shared.errors import Malformed
from shared.similar import label

HASHES = st.integers(0, 2**64 - 1)


@given(HASHES)
def test_a_hash_keeps_all_its_bits(value: int) -> None:
    digits = f"{value:016x}"
    kept = from_hex(digits)
    assert kept is not None
    assert -(2**63) <= kept < 2**63
    assert to_hex(kept) == digits


@pytest.mark.parametrize("digits", ["", "0", "g" * 16, "0" * 17, "-" + "0" * 15, "0x" + "0" * 14])
def test_what_is_no_hash_is_refused(digits: str) -> None:
    with pytest.raises(Malformed):
        from_hex(digits)


def test_labels_follow_the_distance() -> None:
    assert [label(d) for d in (0, 1, 5, 6, 10)] == [
        "identical",
        "very_similar",
        "very_similar",
        "similar",
        "similar",
    ]

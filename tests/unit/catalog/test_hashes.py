"""Multi-index hashing: no neighbour is ever missed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.hashes import from_hex, neighbours, to_hex
from services.catalog.similar import label
from shared.errors import Malformed

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


@given(value=HASHES, bits=st.sets(st.integers(0, 63), max_size=12))
def test_some_band_of_everything_near_is_looked_up(value: int, bits: set[int]) -> None:
    other = value
    for bit in bits:
        other ^= 1 << bit
    tried = neighbours(value, len(bits))
    assert any(other >> 16 * band & 0xFFFF in tried[band] for band in range(4))


def test_within_five_bits_only_36_band_values_are_tried() -> None:
    assert sum(len(values) for values in neighbours(0, 5)) == 36


def test_what_is_tried_comes_once() -> None:
    for values in neighbours(0x1234_5678_9ABC_DEF0, 10):
        assert len(values) == len(set(values))


def test_labels_follow_the_distance() -> None:
    assert [label(d) for d in (0, 1, 5, 6, 10)] == [
        "identical",
        "very_similar",
        "very_similar",
        "similar",
        "similar",
    ]

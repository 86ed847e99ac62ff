"""Which names an entity may have."""

import pytest

from shared.entities import check_name
from shared.errors import Invalid


@pytest.mark.parametrize("name", ["", " ", "   ", "\u3000", "\u00a0", "a\nb", "x" * 256, "\u202eb"])
def test_an_id_that_shows_nothing_or_misleads_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        check_name("post", name)


@pytest.mark.parametrize("name", ["7", "a b", "x" * 255, "Köln", "a/b", "%00"])
def test_any_printable_id_is_taken(name: str) -> None:
    check_name("post", name)


@pytest.mark.parametrize("kind", ["", "Post", "1st", "a b", "x" * 65])
def test_a_type_is_a_short_word_in_small_letters(kind: str) -> None:
    with pytest.raises(Invalid, match="entity type"):
        check_name(kind, "7")

"""Texts as words: where they are, what they are without accents and case, and the vector that PostgreSQL keeps.

All that is indexed, asked for or marked in an answer goes through `words`, so all of them agree on what a word is.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Literal, TypeAlias

import msgspec

Weight: TypeAlias = Literal["A", "B", "C", "D"]

MOST_LETTERS = 60
"""Of a word, indexed or asked for: what is longer is cut."""
_MOST_POSITION = 16_383  # PostgreSQL keeps no greater one
_MOST_PLACES = 200  # of one word
_MOST_BYTES = 400_000  # of one vector, whose limit is 1 MiB; words behind that are not found
_GAP = 10  # between two fields, so that no phrase runs from one into the next

# Scripts that leave no space between words: each character is a word, and what is asked for a phrase of them.
_SINGLE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
# Signs that belong to the letter before them, which Python does not count among the letters.
_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963"
    "\u0971-\u0dff"
)
_WORD = re.compile(rf"[{_SINGLE}]|\d+|(?:[^\W\d_{_SINGLE}]|[{_MARKS}])+")
_ACCENTS = re.compile(r"[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670]+")
_LETTERS = str.maketrans(
    {
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ħ": "h",
        "\u0131": "i",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        "ð": "d",
        "ŧ": "t",
    }
)


class Word(msgspec.Struct, frozen=True):
    """A word of a text: as it is looked for, and from where to where it stands."""

    folded: str
    start: int
    end: int


def words(text: str) -> Iterator[Word]:
    """The words in their order: letters apart from digits, so that `IMG_0042` is found as `img0042` too. Accents
    alone are none."""
    for found in _WORD.finditer(text):
        if said := folded(found[0]):
            yield Word(said, found.start(), found.end())


@lru_cache(maxsize=50_000)
def folded(word: str) -> str:
    """A word without regard to case and accents. `ß` is `ss` and `æ` is `ae`, as they are typed without their key."""
    if word.isascii():
        return word.lower()[:MOST_LETTERS]
    plain = unicodedata.normalize("NFKD", word.casefold())
    return unicodedata.normalize("NFC", _ACCENTS.sub("", plain).translate(_LETTERS))[:MOST_LETTERS]


def vector(fields: Iterable[tuple[Weight, Sequence[str]]], stems: Mapping[str, frozenset[str]]) -> str:
    """The tsvector of these fields' words, as text. A stem that is no word itself stands behind a tilde at the places
    of its words, so what is asked for exactly can be told from it."""
    places: dict[str, list[str]] = {}
    position = size = 0
    for weight, said in fields:
        for word in said:
            position = min(position + 1, _MOST_POSITION)
            for lexeme in (word, *(stem_lexeme(stem) for stem in stems.get(word, ()) if stem != word)):
                known = places.get(lexeme)
                if known is None:
                    size += len(lexeme.encode()) + 4
                    if size > _MOST_BYTES:
                        continue
                    known = places[lexeme] = []
                if not known or (len(known) < _MOST_PLACES and position < _MOST_POSITION):
                    known.append(f"{position}{weight}")
                    size += 2
        position += _GAP
    return " ".join(f"{quoted(lexeme)}:{','.join(found)}" for lexeme, found in places.items())


def stem_lexeme(stem: str) -> str:
    """How a stem stands in a vector, beside the words."""
    return f"~{stem}"


def quoted(lexeme: str) -> str:
    """A lexeme as tsvector and tsquery have it in their texts."""
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"

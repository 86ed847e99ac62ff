"""What people type into a search box, read as a question. Whatever they type has a meaning: nothing is refused.

Words must all be there, `"quoted ones"` as they stand, `-word` must not be, `or` separates alternatives, `word*` is the
beginning of one.
"""

import re
from collections.abc import Mapping

import msgspec

from services.catalog.texts import quoted, stem_lexeme, words
from services.catalog.texts_stems import Known

MOST_CHARACTERS = 500
MOST_WORDS = 32
"""Of a question; those behind them are not asked for."""
LEAST_BEGINNING = 2
"""Letters of a `word*`; with fewer it is a word."""
_MOST_BEGINNINGS = 4  # in one question: each may stand for a hundred thousand words
_PIECE = re.compile(r'(?P<no>-)?(?:"(?P<phrase>[^"]*)"?|(?P<plain>[^\s"]+))')
_OR = frozenset({"or", "|"})


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """Words that stand one behind the other, mostly one. `prefix`: the last is the beginning of a word. `exact`: as it
    stands, not in another form."""

    words: tuple[str, ...]
    prefix: bool = False
    exact: bool = False
    unwanted: bool = False


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Alternatives, of each of which all terms must hold."""

    ways: tuple[tuple[Term, ...], ...]

    @property
    def words(self) -> frozenset[str]:
        return frozenset(word for way in self.ways for term in way for word in term.words)

    @property
    def wanted(self) -> tuple[Term, ...]:
        """What is worth to be marked in what is found."""
        return tuple(dict.fromkeys(term for way in self.ways for term in way if not term.unwanted))


def read(text: str) -> Question:
    """The question of a text; without a word in it, it has no alternative, and finds nothing."""
    ways: list[list[Term]] = [[]]
    beginnings, left = 0, MOST_WORDS
    for piece in _PIECE.finditer(text):
        plain = piece["plain"]
        if plain is not None and not piece["no"] and plain.lower() in _OR:
            ways.append([])
            continue
        said = [word.folded for word in words(plain or piece["phrase"] or "")]
        found = tuple(said[:left])
        if not found:
            continue
        left -= len(found)
        whole = len(found) == len(said)
        prefix = plain is not None and whole and plain.endswith("*") and len(found[-1]) >= LEAST_BEGINNING
        beginnings += prefix
        ways[-1].append(
            Term(
                words=found,
                prefix=prefix and beginnings <= _MOST_BEGINNINGS,
                exact=plain is None,
                unwanted=piece["no"] is not None,
            )
        )
    return Question(ways=tuple(tuple(dict.fromkeys(way)) for way in ways if way))


def as_tsquery(question: Question, known: Mapping[str, Known]) -> str:
    """The question as PostgreSQL's tsquery has it in a text; empty where it finds nothing."""
    return "|".join(_way(way, known) for way in question.ways)


def _way(way: tuple[Term, ...], known: Mapping[str, Known]) -> str:
    """A word that is in every other sentence need not be there, unless nothing else is asked for."""

    def telling(term: Term) -> bool:
        return not (len(term.words) == 1 and not term.exact and not term.prefix and known[term.words[0]].stop)

    chosen = [term for term in way if term.unwanted or telling(term)]
    if all(term.unwanted for term in chosen):
        chosen = list(way)
    return "(" + "&".join(_term(term, known) for term in chosen) + ")"


def _term(term: Term, known: Mapping[str, Known]) -> str:
    if len(term.words) > 1 or term.exact:
        lexemes = [quoted(word) for word in term.words]
        found = "(" + "<->".join(lexemes) + (":*" if term.prefix else "") + ")"
    elif term.prefix:
        found = f"{quoted(term.words[0])}:*"
    else:
        found = "(" + "|".join(quoted(lexeme) for lexeme in _forms(term.words[0], known)) + ")"
    return f"!{found}" if term.unwanted else found


def _forms(word: str, known: Mapping[str, Known]) -> list[str]:
    """The lexemes of which a text with this word in any form has one."""
    stems = sorted(known[word].stems)
    return list(dict.fromkeys([word, *stems, *map(stem_lexeme, stems)]))

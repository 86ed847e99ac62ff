"""The places in a media's own texts that a question is about, as HTML that is safe to show."""

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile

import msgspec

from services.catalog.texts import Word, words
from services.catalog.texts_query import Question, Term
from services.catalog.texts_stems import Known

OPEN, CLOSE = "<mark>", "</mark>"
CUT = "…"
MOST_FRAGMENTS = 3
"""Of one field."""
MOST_FORMS = 5_000
"""Beyond which no more texts of a page are looked through for other forms of what was asked: a dictionary is asked of
each."""
_BEFORE, _LONG = 60, 180  # characters
_SAME_BEGINNING = 2  # letters: stems change how words end


def near(question: Question, texts: Iterable[str]) -> set[str]:
    """Folded words of these texts that may be other forms of what is asked: their stems must be known.
    Of countless ones not all."""
    beginnings = {word[:_SAME_BEGINNING] for term in question.wanted for word in term.words}
    found: set[str] = set()
    for text in texts:
        found |= {word.folded for word in words(text) if word.folded[:_SAME_BEGINNING] in beginnings}
        if len(found) > MOST_FORMS:
            break
    return found


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """What is marked: these words, words with these stems or beginnings, and phrases by their first words, the last of
    which may be a beginning. As `texts_query.as_tsquery` has it, but one look for each word of a text."""

    plain: frozenset[str]
    stems: frozenset[str]
    beginnings: tuple[str, ...]
    phrases: Mapping[str, Sequence[Term]]
    known: Mapping[str, Known]

    def has(self, word: str) -> bool:
        """Whether this folded word is one by itself."""
        if word in self.plain or word in self.stems or word.startswith(self.beginnings):
            return True
        known = self.known.get(word)
        return known is not None and not self.stems.isdisjoint(known.stems)


def sought(question: Question, known: Mapping[str, Known]) -> Sought:
    """`known`: the stems of the question's words and of those that `near` has found."""
    single = [term for term in question.wanted if len(term.words) == 1]
    phrases: dict[str, list[Term]] = {}
    for term in question.wanted:
        if len(term.words) > 1:
            phrases.setdefault(term.words[0], []).append(term)
    inflected = [term.words[0] for term in single if not term.exact and not term.prefix]
    return Sought(
        plain=frozenset(term.words[0] for term in single),
        stems=frozenset(stem for word in inflected for stem in known[word].stems),
        beginnings=tuple(term.words[0] for term in single if term.prefix),
        phrases=phrases,
        known=known,
    )


def fragments(text: str, asked: Sought) -> tuple[str, ...]:
    """Up to MOST_FRAGMENTS pieces of the text, escaped, with `<mark>` around what was asked for; none where it is
    not there."""
    found = list(words(text))
    spans = _joined(_spans(asked, found))
    pieces: list[str] = []
    while spans and len(pieces) < MOST_FRAGMENTS:
        start = _start(spans[0][0], found)
        end = _end(text, max(start + _LONG, spans[0][1]), found)
        inside = list(takewhile(lambda span: span[1] <= end, spans))  # noqa: B023 - used at once
        spans = spans[len(inside) :] if inside else spans[1:]
        pieces.append(_marked(text, start, end, inside))
    return tuple(pieces)


def _spans(asked: Sought, found: Sequence[Word]) -> Iterator[tuple[int, int]]:
    folded = [word.folded for word in found]
    marked = {word for word in set(folded) if asked.has(word)}
    for at, word in enumerate(folded):
        if word in marked:
            yield found[at].start, found[at].end
        for term in asked.phrases.get(word, ()):
            if _stands(term, folded, at):
                yield found[at].start, found[at + len(term.words) - 1].end


def _stands(term: Term, folded: Sequence[str], at: int) -> bool:
    last = at + len(term.words) - 1
    if last >= len(folded) or tuple(folded[at:last]) != term.words[:-1]:
        return False
    return folded[last].startswith(term.words[-1]) if term.prefix else folded[last] == term.words[-1]


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """In their order, without any within or over another."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _start(at: int, found: Sequence[Word]) -> int:
    """Some words before `at`."""
    least = at - _BEFORE
    return 0 if least <= 0 else next((word.start for word in found if least <= word.start), at)


def _end(text: str, at: int, found: Sequence[Word]) -> int:
    """The end of the last word that ends by then."""
    if at >= len(text):
        return len(text)
    return max((word.end for word in found if word.end <= at), default=at)


def _marked(text: str, start: int, end: int, spans: Sequence[tuple[int, int]]) -> str:
    parts = [CUT if start else ""]
    at = start
    for begin, stop in spans:
        parts += [html.escape(text[at:begin]), OPEN, html.escape(text[begin:stop]), CLOSE]
        at = stop
    parts += [html.escape(text[at:end]), CUT if end < len(text) else ""]
    return "".join(parts)

"""The places in a media's own texts that a question is about, as HTML that is safe to show."""

import html
from collections.abc import Iterable, Mapping, Sequence

from services.catalog.texts import Word, words
from services.catalog.texts_query import Question, Term, matches
from services.catalog.texts_stems import Known

OPEN, CLOSE = "<mark>", "</mark>"
CUT = "…"
MOST_FRAGMENTS = 3
"""Of one field."""
_BEFORE, _LONG = 60, 180  # characters
_SAME_BEGINNING = 2  # letters: stems change how words end


def near(question: Question, texts: Iterable[str]) -> set[str]:
    """Folded words of these texts that may be other forms of what is asked: their stems must be known."""
    beginnings = {word[:_SAME_BEGINNING] for term in question.wanted for word in term.words}
    return {
        word.folded for text in texts for word in words(text) if word.folded[:_SAME_BEGINNING] in beginnings
    }


def fragments(text: str, question: Question, known: Mapping[str, Known]) -> tuple[str, ...]:
    """Up to MOST_FRAGMENTS pieces of the text, escaped, with `<mark>` around what was asked for; none where it is
    not there."""
    found = list(words(text))
    spans = _joined(span for term in question.wanted for span in _spans(term, found, known))
    pieces: list[str] = []
    while spans and len(pieces) < MOST_FRAGMENTS:
        start = _start(spans[0][0], found)
        end = _end(text, max(start + _LONG, spans[0][1]), found)
        inside = [span for span in spans if span[1] <= end]
        spans = spans[len(inside) :] if inside else spans[1:]
        pieces.append(_marked(text, start, end, inside))
    return tuple(pieces)


def _spans(term: Term, found: Sequence[Word], known: Mapping[str, Known]) -> list[tuple[int, int]]:
    is_word, many = matches(term, known), len(term.words)
    return [
        (found[at].start, found[at + many - 1].end)
        for at in range(len(found) - many + 1)
        if all(is_word(number, found[at + number].folded) for number in range(many))
    ]


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

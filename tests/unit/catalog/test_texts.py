"""Words of texts, questions of search boxes, and what is marked: none of it needs a database."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog import texts_highlights, texts_query
from services.catalog.texts import MOST_LETTERS, folded, vector, words
from services.catalog.texts_highlights import Sought
from services.catalog.texts_query import MOST_WORDS, as_tsquery, read
from services.catalog.texts_stems import Known

STEMS = {"beaches": "beach", "beach": "beach", "running": "run", "run": "run"}

HARD = "\u0300\u0301\u05b0\u064b\u0670\u093f'\\\"*-~:&|!()<> ab1_½東ﷺ"
"""Marks without letters, and what means something to PostgreSQL."""

DIGITS = str.maketrans("0123456789", "hijklmnopq")


def known(*asked: str) -> dict[str, Known]:
    return {word: Known(frozenset({STEMS.get(word, word)}), stop=word in {"the", "of"}) for word in asked}


def question(said: str) -> str:
    found = read(said)
    return as_tsquery(found, known(*found.words))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("IMG_0042.JPG", ["img", "0042", "jpg"]),
        ("Straße, Ærø & naïve Łódź", ["strasse", "aero", "naive", "lodz"]),
        ("cafe\u0301 CAFÉ", ["cafe", "cafe"]),
        ("don't l'été", ["don", "t", "l", "ete"]),
        ("東京タワー", ["東", "京", "タ", "ワ", "ー"]),
        ("हिन्दी русский ЁЖ", ["हिन्दी", "русскии", "еж"]),
        ("\uff46\uff55ll \ufb01n", ["full", "fin"]),
        ("?! -- ''", []),
        ("a" * 100, ["a" * MOST_LETTERS]),
        ("\u0301 \u0670 \u05b0\u05b1 a", ["a"]),
    ],
)
def test_a_text_is_words_without_case_and_accents(text: str, found: list[str]) -> None:
    assert [word.folded for word in words(text)] == found


@given(st.text(max_size=60))
def test_the_words_of_any_text_stand_where_they_say_and_fold_to_themselves(text: str) -> None:
    for word in words(text):
        assert folded(text[word.start : word.end]) == word.folded
    assert html.escape("<") not in "".join(word.folded for word in words(text))


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("sea", "(('sea'|'~sea'))"),
        ("Beaches", "(('beaches'|'beach'|'~beach'))"),
        ("the beaches", "(('beaches'|'beach'|'~beach'))"),
        ("the of", "(('the'|'~the')&('of'|'~of'))"),
        ('"the sea"', "(('the'<->'sea'))"),
        ("sea -sand", "(('sea'|'~sea')&!('sand'|'~sand'))"),
        ('-"wet sand" sea', "(!('wet'<->'sand')&('sea'|'~sea'))"),
        ("sun* or sea", "('sun':*)|(('sea'|'~sea'))"),
        ("IMG_0042", "(('img'<->'0042'))"),
        ("img_00*", "(('img'<->'00':*))"),
        ('"never closed', "(('never'<->'closed'))"),
        ("or OR | - \"\" ''", ""),
        ('\u0301 "\u0301" \u0670* -\u0301', ""),
        ("sea -\u0301", "(('sea'|'~sea'))"),
        ("", ""),
    ],
)
def test_what_is_typed_is_a_question(said: str, asked: str) -> None:
    assert question(said) == asked


def test_words_weigh_by_where_they_stand_and_no_phrase_runs_from_field_to_field() -> None:
    stems = {"beaches": frozenset({"beach"})}
    found = vector([("A", ["sea", "beaches"]), ("B", ["sea"])], stems)
    assert found == "'sea':1A,13B 'beaches':2A '~beach':2A"


def test_a_vector_has_its_limits_whatever_the_text() -> None:
    many = [f"{number:x}" for number in range(200_000)]
    assert len(vector([("D", many)], {}).encode()) < 1 << 20
    assert vector([("D", ["a"] * 5000)], {}).count(",") < 256


def marked(text: str, said: str) -> tuple[str, ...]:
    asked = read(said)
    near = texts_highlights.near(asked, [text])
    return texts_highlights.fragments(text, texts_highlights.sought(asked, known(*near, *asked.words)))


@pytest.mark.parametrize(
    ("text", "said", "found"),
    [
        ("Die Straße am Strand", "strasse", ("Die <mark>Straße</mark> am Strand",)),
        ("Beaches & <b>sand</b>", "beach", ("<mark>Beaches</mark> &amp; &lt;b&gt;sand&lt;/b&gt;",)),
        ("sea sand, sea", '"sea sand"', ("<mark>sea sand</mark>, sea",)),
        ("sunset at sea", "sun* -sea", ("<mark>sunset</mark> at sea",)),
        ("nothing of it", "sea", ()),
        ("running to the beaches", "run beach", ("<mark>running</mark> to the <mark>beaches</mark>",)),
        ("beaches, beach", '"beach"', ("beaches, <mark>beach</mark>",)),
        ("img 0042 img 0100", "IMG_00*", ("<mark>img 0042</mark> img 0100",)),
        ("sea, sea", '"sea sea sea" "sea sea" nothing', ("<mark>sea, sea</mark>",)),
        ("a b c", '"b c" "a b"', ("<mark>a b c</mark>",)),
    ],
)
def test_what_was_asked_for_is_marked_as_it_is_written(text: str, said: str, found: tuple[str, ...]) -> None:
    assert marked(text, said) == found


def test_a_page_of_countless_words_asks_for_the_stems_of_some_thousand() -> None:
    texts = [
        " ".join(f"se{chr(97 + text)}{number:x}g".translate(DIGITS) for number in range(2000))
        for text in range(9)
    ]
    assert 5000 <= len(texts_highlights.near(read("sea"), texts)) <= 7000


@pytest.mark.parametrize("apart", [" ", '" "', '" or "', "-"])
def test_what_is_behind_the_words_of_a_question_is_not_asked_for(apart: str) -> None:
    words_of = [f"{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(80)]
    assert read(f'"{apart.join(words_of)}"').words == set(words_of[:MOST_WORDS])


def test_marking_looks_once_at_each_word_however_many_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    has = Sought.has

    def counted(asked: Sought, word: str) -> bool:
        looked.append(word)
        return has(asked, word)

    monkeypatch.setattr(Sought, "has", counted)
    text = "ab cd ef gh " * 1000
    assert marked(text, " ".join(f"x{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")) == ()
    assert sorted(looked) == ["ab", "cd", "ef", "gh"]


@given(
    st.text(alphabet="sea <>&\"'é\n-x", max_size=400), st.sampled_from(["sea", "é", '"sea sea"', "s* or x"])
)
def test_marks_are_the_only_markup_and_the_text_is_whole_between_them(text: str, said: str) -> None:
    for piece in marked(text, said):
        plain = html.unescape(re.sub("</?mark>", "", piece).strip(texts_highlights.CUT))
        assert plain in text
        assert "<mark>" in piece
        assert not re.search("[<>]", re.sub("</?mark>", "", piece))


@given(st.text(max_size=40) | st.text(alphabet=HARD, max_size=40))
def test_nothing_that_is_typed_is_refused(said: str) -> None:
    found = texts_query.read(said)
    asked = as_tsquery(found, known(*found.words))
    assert asked.count("'") % 2 == 0
    assert "" not in found.words

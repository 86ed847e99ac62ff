"""The parts of reading documents that need no child: limits, and what is done to a text."""

import pytest

from services.processor import failures
from services.processor.documents import elements, said, second
from services.processor.documents.elements import Budget, UnreadableXml, listen
from services.processor.documents.listeners import Prose, Values
from services.processor.documents.said import Said, cleaned
from services.processor.frames import Job
from tests.fixtures.documents import DOCX, PDF
from tests.fixtures.recipes import STANDARD


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("a\r\nb\rc\x0cd\u2028e", "a\nb\nc\nd\ne"),
        ("king\ufffe\nfisher, soft\xadly, hard\x02\nly", "kingfisher, softly, hardly"),
        ("left\u202eright\u200b\ufeff\0\x1b[0m", "leftright[0m"),
        ("Here\x92s", "Here\u2019s"),
        ("u\u0308ber", "\xfcber"),
        ("a \t \n\n\n\n  b\n", "a\n\n  b"),
        ("\U0001f600 \u0643", "\U0001f600 \u0643"),
    ],
)
def test_a_text_is_kept_without_what_cannot_be_seen(raw: str, kept: str) -> None:
    assert cleaned(raw) == kept


def test_a_text_ends_at_its_limit_and_within_no_character(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(said, "MOST_BYTES", 9)
    text = Said()
    text.add("\u20ac\u20ac\u20ac\u20ac")
    assert (text.is_cut, text.whole(), text.is_cut) == (False, "\u20ac\u20ac\u20ac", True)


def test_pieces_are_taken_as_long_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(said, "MOST_CHARACTERS", 5)
    text = Said()
    for piece in ("ab", "cde"):
        text.add(piece)
    assert not text.is_cut
    text.add("f")
    assert (text.is_cut, text.whole()) == (True, "abcde")


def test_more_elements_than_any_document_has_end_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "MOST_ELEMENTS", 10)
    budget, counted = Budget(), Values(counted={"b"})
    with pytest.raises(UnreadableXml, match="too many"):
        listen([b"<a>" + b"<b/>" * 10 + b"</a>"], counted, budget)
    assert counted.counts["b"] == 9


def test_elements_within_elements_end_at_a_depth() -> None:
    with pytest.raises(UnreadableXml, match="too many"):
        listen([b"<a>" * 300 + b"</a>" * 300], Values(), Budget())


def test_a_document_type_is_refused_before_anything_is_declared() -> None:
    with pytest.raises(UnreadableXml, match="document type"):
        listen([b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"], Values({"a"}), Budget())


def test_what_is_skipped_says_nothing_and_neither_do_elements_outside() -> None:
    text = Said()
    prose = Prose(text, inside={"t"}, skipped={"Fallback"}, after={"p": "\n"})
    xml = b"<d>no<p><t>one</t>no<Fallback><t>no</t><p/></Fallback><t> two</t></p><p><t>three</t></p></d>"
    listen([xml[:20], xml[20:]], prose, Budget())
    assert text.whole() == "one two\nthree"


def test_an_encoding_that_nobody_knows_is_a_fault_of_the_file() -> None:
    with pytest.raises(UnreadableXml):
        listen([b'<?xml version="1.0" encoding="nonsense"?><a/>'], Values(), Budget())


def test_a_name_is_as_long_as_it_is_written_however_long_its_namespace() -> None:
    longest = 0

    class Measuring(Values):
        def start(self, name: str, attributes: dict[str, str]) -> None:
            nonlocal longest
            longest = max(longest, len(name))
            super().start(name, attributes)

    listen([b"<w:a xmlns:w='" + b"n" * 100_000 + b"'><w:bb/></w:a>"], Measuring(), Budget())
    assert longest == 2


@pytest.mark.parametrize(
    ("mime_type", "verdict", "expected"),
    [
        (PDF, failures.out_of_memory(1), "text"),
        (PDF, failures.timed_out(1), "text"),
        (PDF, failures.interrupted(""), "same"),
        (DOCX, failures.crashed(""), "same"),
        (DOCX, failures.out_of_memory(1), "none"),
        ("image/jpeg", failures.timed_out(1), "same"),
    ],
)
def test_a_second_child_is_asked_for_what_it_may_manage(
    mime_type: str, verdict: failures.Failure, expected: str
) -> None:
    first = Job(media_id="m", trace_id="t", mime_type=mime_type, recipe=STANDARD)
    again = second.job(first, verdict)
    assert {"none": again is None, "same": again is first, "text": again is not None and again.text_only}[
        expected
    ]

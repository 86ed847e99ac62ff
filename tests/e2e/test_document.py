"""A document goes in; it is found by what it says, and its text and first page can be fetched."""

from typing import Any

from tests.e2e.conftest import Client
from tests.fixtures.compound_files import doc
from tests.fixtures.documents import docx, locked_pdf, pdf
from tests.fixtures.waiting import eventually


def test_a_pdf_is_found_by_its_title_and_a_word_on_its_second_page_and_by_nobody_else(
    ann: Client, bob: Client
) -> None:
    media = ann.uploaded(pdf("Annual report", "Two kingfishers were seen", title="Zwergtaucher"), "a.pdf")
    assert (media["status"], media["media_type"]) == ("ready", "document"), media
    assert media["exif"]["pages"] == 2
    variants = {variant["name"]: variant for variant in media["variants"]}
    assert set(variants) == {"thumbnail", "text"}
    assert media["thumbnail_url"] == variants["thumbnail"]["url"]
    assert ann.http.get(media["thumbnail_url"]).headers["content-type"] == "image/jpeg"

    def found(client: Client, q: str = "kingfisher") -> list[dict[str, Any]]:
        answer = client.http.post("/v1/media/search", json={"q": q})
        assert answer.status_code == 200, answer.text
        matches: list[dict[str, Any]] = answer.json()["matches"]
        return matches

    (match,) = eventually(lambda: found(ann), "the document to be found")
    assert match["highlights"]["document"] == ["Annual report\n\nTwo <mark>kingfishers</mark> were seen"]
    assert [one["highlights"] for one in found(ann, "zwergtaucher")] == [
        {"title": ["<mark>Zwergtaucher</mark>"]}
    ]
    assert found(bob) == found(bob, "zwergtaucher") == []

    answer = ann.http.get(variants["text"]["url"])
    assert answer.text == "Annual report\n\nTwo kingfishers were seen"
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert bob.http.get(variants["text"]["url"]).status_code == 404
    assert ann.http.delete(f"/v1/media/{media['id']}").status_code == 204
    assert found(ann) == found(ann, "zwergtaucher") == []


def test_documents_that_are_locked_or_bear_macros_are_ready_and_say_so(ann: Client) -> None:
    locked = ann.uploaded(locked_pdf(), "locked.pdf")
    assert (locked["status"], locked["exif"]["encrypted"], locked["variants"]) == ("ready", True, [])
    assert "password" in locked["warnings"][0]
    macros = ann.uploaded(docx("harmless", parts={"word/vbaProject.bin": b"\xd0\xcf"}), "letter.docx")
    assert (macros["status"], macros["exif"]["macros"]) == ("ready", True)
    assert "macros" in macros["warnings"][0]


def test_documents_of_old_programs_are_taken_and_say_what_is_read_of_them(ann: Client) -> None:
    old = ann.uploaded(doc(title="Haubentaucher", macros=True), "letter.doc")
    assert (old["status"], old["mime_type"]) == ("ready", "application/msword")
    assert (old["exif"]["title"], old["exif"]["macros"]) == ("Haubentaucher", True)
    assert any("not read" in warning for warning in old["warnings"])
    table = ann.uploaded("Käse;12 €\r\nWürste;3\r\n".encode("cp1252"), "prices.csv")
    assert (table["mime_type"], table["exif"]["encoding"]) == ("text/csv", "windows-1252")
    (text,) = table["variants"]
    assert ann.http.get(text["url"]).text == "Käse;12 €\nWürste;3"

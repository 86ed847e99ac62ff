"""Display names: what a client may call a file, and what is left of it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Invalid
from shared.names import MAX_BYTES, check_name, display_name


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("photo.jpg", "photo.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ann\\photo.jpg", "photo.jpg"),
        ("/absolute/path.png", "path.png"),
        (".htaccess", "htaccess"),
        ("...", "file"),
        ("", "file"),
        (None, "file"),
        ("a\0b\r\nc.jpg", "abc.jpg"),
        ("invoice\u202egpj.exe", "invoicegpj.exe"),
        ("Scho\u0308n.jpg", "Schön.jpg"),
        ("  a   b .jpg ", "a b .jpg"),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467.png", "\U0001f468\u200d\U0001f469\u200d\U0001f467.png"),
        ("CON", "CON"),
        ("dir/", "file"),
        ('a "quoted" näme.jpg', 'a "quoted" näme.jpg'),
    ],
)
def test_a_name_keeps_what_does_no_harm(given_name: str | None, shown: str) -> None:
    assert display_name(given_name) == shown


def test_a_long_name_keeps_its_extension_and_whole_characters() -> None:
    name = display_name("ä" * 5000 + ".jpeg")
    assert len(name.encode()) <= MAX_BYTES
    assert name.endswith("ä.jpeg")
    assert len(display_name("x" * 10_000).encode()) == MAX_BYTES
    assert len(display_name("x." + "y" * 10_000).encode()) == MAX_BYTES


@given(st.text(max_size=400))
def test_no_name_comes_out_dangerous(text: str) -> None:
    name = display_name(text)
    assert 0 < len(name.encode()) <= MAX_BYTES
    assert not name.startswith(".")
    assert not set(name) & set("/\\\0\r\n")
    assert not any(unicodedata.category(c) == "Cc" for c in name)
    assert display_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        ".hidden",
        "a/b",
        "a\\b",
        "a\nb",
        "a\tb",
        "a\u202eb",
        "a\u200bb",
        "\ue000",
        " ",
        "",
        "ä" * 128,
        "x" * 256,
    ],
)
def test_a_name_that_could_mislead_is_refused_where_it_was_chosen(name: str) -> None:
    with pytest.raises(Invalid, match="filename") as refusal:
        check_name(name)
    assert refusal.value.extra["field"] == "filename"


def test_a_chosen_name_is_kept_in_nfc_without_idle_spaces() -> None:
    assert check_name(" Ko\u0308ln  am Rhein.jpg ") == "Köln am Rhein.jpg"
    assert check_name("file") == "file"


@given(st.text(max_size=400))
def test_a_name_that_an_upload_was_given_may_be_chosen(text: str) -> None:
    assert check_name(display_name(text)) == display_name(text)

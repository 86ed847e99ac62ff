"""Files of other projects' test suites, where they are at hand: what each is told to be, and that none does harm.

They lie beside the checkout, or where TRIPOD_CORPUS says; without them there is nothing to test here.
"""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.ingest.claims import recognise
from services.ingest.rules import sides
from services.ingest.sniff import HEAD_BYTES, sniff
from shared.errors import UnsupportedType
from shared.formats import BY_EXTENSION, UNKNOWN, Format
from shared.names import extension

PROJECT = Path(__file__).parents[3]
CORPUS = Path(os.environ.get("TRIPOD_CORPUS", PROJECT.parent / "shared" / "corpus"))
MANIFEST = CORPUS / "manifest.tsv"
pytestmark = pytest.mark.skipif(not MANIFEST.is_file(), reason=f"there is no corpus at {CORPUS}")

# Sound files that are not what their names say, or not from their first byte on, and so are refused.
OTHERWISE = {
    "l2rgb_read.bmp",  # its reserved bytes are not zero
    "mp3__100kB-garbage-prefix.mp3",
    "mp3__200kB-garbage-prefix.mp3",
    "mp3__1024_incrementing_bytes.mp3",
    "mp3__bear-vbr-no-seek-table.mp3",  # begins in the middle of a frame
    "mp4__sample_fragmented_sideloaded_track.mp4",  # a fragment without its beginning
}
# Damaged so far that nothing in them says what they were.
BEYOND_RECOGNITION = {"bmp__b__badheadersize.bmp", *(f"pngsuite__{n}.png" for n in ("xcrn0g04", "xlfn0g04"))} | {
    f"pngsuite__xs{n}n0g01.png" for n in (1, 2, 4, 7)
}  # fmt: skip


def files() -> Iterator[tuple[str, Path, bytes]]:
    """Class, path and head of each."""
    with MANIFEST.open() as rows:
        for row in csv.DictReader(rows, delimiter="\t"):
            path = CORPUS / row["file"]
            with path.open("rb") as file:
                yield row["class"], path, file.read(HEAD_BYTES)


def listed(path: Path, names: set[str]) -> bool:
    return any(path.name.endswith(name) for name in names)


def claimed(path: Path) -> list[Format]:
    return [known for known in BY_EXTENSION.get(extension(path.name), []) if not known.text]


def test_every_file_is_what_its_name_says_or_known_to_be_otherwise() -> None:
    otherwise = set()
    count = 0
    for kind, path, head in files():
        formats = claimed(path)
        count += bool(formats)
        if formats and sniff(head) not in formats:
            assert listed(path, OTHERWISE if kind == "valid" else BEYOND_RECOGNITION), (
                kind,
                path,
                sniff(head),
            )
            otherwise.add(path.name)
    assert count > 1000
    assert len(otherwise) == len(OTHERWISE | BEYOND_RECOGNITION)


def test_no_file_makes_anything_stumble_and_what_is_refused_is_refused_with_a_reason() -> None:
    refused = {}
    for _, path, head in files():
        for cut in (head, head[:1000], head[: len(head) // 2]):
            assert sides(sniff(cut), cut) is None or min(sides(sniff(cut), cut) or ()) > 0
        try:
            found = recognise(head, whole=len(head) < HEAD_BYTES, filename=path.name, declared="")
        except UnsupportedType as refusal:
            refused[path] = refusal.detail
        else:
            assert found is UNKNOWN or not claimed(path) or found in claimed(path)
    assert {
        path: why for path, why in refused.items() if not listed(path, OTHERWISE | BEYOND_RECOGNITION)
    } == {}
    assert all(path.suffix[1:] in BY_EXTENSION and "says" in why for path, why in refused.items())


def test_sides_are_found_in_the_head_of_nearly_every_picture() -> None:
    """The rest is the processor's: TIFF whose directory is at the end, JPEG behind much metadata, and SVG."""
    with_sides, without = 0, []
    for kind, path, head in files():
        found = sniff(head)
        if kind == "valid" and found.media_type == "image" and found.mime != "image/svg+xml":
            with_sides += sides(found, head) is not None
            without += [] if sides(found, head) else [path.name]
    assert with_sides > 600
    assert len(without) < 30, without

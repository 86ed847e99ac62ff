import mmap

import pytest

from services.processor.jpeg_scans import MOST_SCANS, has_too_many_scans
from tests.fixtures.hostile import many_scans
from tests.fixtures.pictures import encoded, photo, picture


@pytest.mark.parametrize(("beside_the_first", "too_many"), [(MOST_SCANS - 1, False), (MOST_SCANS, True)])
def test_scans_are_counted(beside_the_first: int, *, too_many: bool) -> None:
    assert has_too_many_scans(many_scans(64, 64, beside_the_first)) is too_many


def test_what_stands_behind_the_picture_is_no_scan_of_it() -> None:
    data = encoded(picture(600, 400), progressive=True)
    assert not has_too_many_scans(data + b"\xff\xda\0\2" * 500)  # a phone puts a film there


def test_only_progressive_files_are_counted() -> None:
    data = photo(60, 40)
    assert not has_too_many_scans(data[:-2] + b"\xff\xda\0\2" * 500 + data[-2:])
    assert not has_too_many_scans(b"")


def test_a_file_that_is_nothing_but_markers_is_given_up() -> None:
    data = encoded(picture(60, 40), progressive=True)
    assert has_too_many_scans(data[:-2] + b"\xff\xfe\0\2" * 5000)


def test_a_mapped_file_is_read_as_well() -> None:
    data = many_scans(64, 64, 200)
    with mmap.mmap(-1, len(data)) as view:
        view.write(data)
        assert has_too_many_scans(view)

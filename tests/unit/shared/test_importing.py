"""What `tripod import` reads of hostile exports and folders, without a server."""

import json
import os
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.cli.importing import columns, export
from shared.cli.importing.columns import DIALECTS, Dialect
from shared.cli.importing.differences import OtherFile, check_same_file, of_there
from shared.cli.importing.export import Told, encoding_of, rows
from shared.cli.importing.folder import Folder, NoFile, Opened, is_variant
from shared.cli.importing.journal import Failed, Journal, Taken
from shared.cli.importing.row import Row, old_id_of, row_of
from shared.errors import Invalid
from shared.media import Media

RECORD = {"id": "5", "filename": "a.jpg", "file_path": "2024/a.jpg", "user_id": "7"}
UUID = "123e4567-e89b-12d3-a456-426614174000"


def read(tmp_path: Path, data: bytes) -> list[Told]:
    path = tmp_path / "export"
    path.write_bytes(data)
    return list(rows(path, encoding_of(path)))


def row(dialect: Dialect = "library", **cells: Any) -> Row:
    return row_of(dialect, {**RECORD, **cells}, 2, None)


@pytest.mark.parametrize(
    "data",
    [
        b"id,filename\n1,caf\xc3\xa9\n",
        b"\xef\xbb\xbfID; Filename\r\n1;caf\xc3\xa9\r\n",
        b"id\tfilename\n\n1\tcaf\xe9\n",
        "id,filename\n1,café\n".encode("utf-16"),
        b'"id"|"filename"\n"1"|"caf\xc3\xa9"\n',
        b'[{"id": "1", "filename": "caf\\u00e9"}]',
        b'{"ID": "1", "filename": "caf\xc3\xa9"}\n',
        b'\xef\xbb\xbf[\n {"id": "1",\n "filename": "caf\xc3\xa9"}\n]\n',
    ],
)
def test_an_export_is_read_however_it_is_written(tmp_path: Path, data: bytes) -> None:
    (told,) = read(tmp_path, data)
    assert told.cells == {"id": "1", "filename": "café"}


def test_a_cell_of_many_lines_and_ten_megabytes_is_one_cell(tmp_path: Path) -> None:
    long = "x\n" * 5_000_000
    told = read(tmp_path, f'id,caption\n1,"{long}"\n2,short\n'.encode())
    assert [one.cells["id"] for one in told] == ["1", "2"]
    with pytest.raises(Invalid, match="9999999 characters"):
        row(caption=told[0].cells["caption"])
    (one, two) = read(tmp_path, json.dumps([{"caption": long}, {"caption": "short"}]).encode())
    assert (one.cells["caption"], two.cells["caption"]) == (long, "short")


def test_rows_that_are_none_are_told_and_the_next_ones_read(tmp_path: Path) -> None:
    told = read(tmp_path, b"id,filename\n1\n2,b,c\n3,d\n")
    assert [(one.line, one.fault is None) for one in told] == [(2, False), (3, False), (4, True)]
    told = read(tmp_path, b'[{"id": 1}, 7, null, {"id": 2}]')
    assert [one.fault is None for one in told] == [True, False, False, True]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"id,id\n1,2\n", "twice"),
        (b'[{"id": 1}, {"id": ', "after 1 rows"),
        (b'[{"id": ' + b"9" * 5000 + b"}]", "row 1"),
        (b'[{"a": ' + b"[" * 200_000, "no JSON"),
        (b'[{"id": 1}, {"id": 2}', "in the middle of its list, after 2 rows"),
        (b'[{"id": 1}, ', "in the middle of its list, after 1 rows"),
    ],
)
def test_what_is_no_export_is_refused_with_a_reason(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        read(tmp_path, data)


def test_an_encoding_that_there_is_not_is_named(tmp_path: Path) -> None:
    (tmp_path / "export").write_text("id\n1\n")
    with pytest.raises(Invalid, match="--encoding is 'klingon'"):
        list(rows(tmp_path / "export", "klingon"))
    (tmp_path / "export").write_text("id\né\n")
    with pytest.raises(Invalid, match="is not ascii"):
        list(rows(tmp_path / "export", "ascii"))


def test_a_long_list_is_never_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_READ", 100)
    path = tmp_path / "export"
    path.write_text(json.dumps([{"id": n, "caption": "}" * (n % 300)} for n in range(1000)]))
    assert [told.cells["id"] for told in rows(path, "utf-8")] == list(range(1000))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_missing_column_is_named_with_those_that_there_are(dialect: Dialect) -> None:
    with pytest.raises(Invalid, match=r"has a column .*; this one has colour"):
        columns.check(dialect, {"colour": "red"}, {})
    with pytest.raises(Invalid, match="--map names the column 'shade'"):
        columns.check(dialect, {"colour": "red"}, {"shade": "id"})


@pytest.mark.parametrize(
    "said", ["-3", "0", str(2**63), "1.0", "1e3", "=1+1", "٣", "", None, True, [1], "9" * 5000]
)
def test_an_id_that_is_no_number_of_theirs_is_refused(said: Any) -> None:
    with pytest.raises(Invalid, match="id is"):
        old_id_of("library", {**RECORD, "id": said})


def test_a_number_beyond_those_that_can_be_kept_is_not_asked_for() -> None:
    found = row(id=str(2**62))
    assert (found.old_id, found.number, "number" in found.query) == (str(2**62), None, False)


def test_an_id_of_content_is_a_uuid_in_any_form() -> None:
    assert old_id_of("content", {"id": UUID.upper().replace("-", "")}) == UUID
    with pytest.raises(Invalid, match="allowed is a UUID"):
        old_id_of("content", {"id": "7"})


def test_a_row_carries_over_what_the_document_has() -> None:
    found = row_of(
        "entities",
        {
            "id": 9, "public_id": "MED-abc", "original_url": "http://s3/b/p.jpg?X=1", "entity_type": "user",
            "entity_id": 4, "entity_field": "avatar", "is_primary": 1, "sort_order": "-2", "alt_text": "me",
            "caption": "=HYPERLINK()", "tags": '{modern,"new house"}', "is_public": "f",
            "moderation_status": "Rejected", "uploaded_by": 4, "created_at": "2024-11-20T15:30:45.5+01:00",
            "metadata": '{"a": {"b": 1}}', "file_size": "17",
        },
        3,
        None,
    )  # fmt: skip
    assert found.filename == "p.jpg"
    assert found.query == {"owner": "4", "number": "9", "public_id": "MED-abc", "moderation": "rejected"}
    assert found.fields == {
        "alt_text": "me", "caption": "=HYPERLINK()", "tags": "modern,new house", "metadata": '{"a":{"b":1}}',
        "is_public": "false", "entity_type": "user", "entity_id": "4", "entity_field": "avatar",
        "is_primary": "true", "sort_order": "-2",
    }  # fmt: skip
    assert found.created_at
    assert found.created_at.isoformat() == "2024-11-20T14:30:45.500000+00:00"
    assert found.entity
    assert found.entity.owners == ("4",)
    assert found.size == 17


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ({"user_id": None}, "owner"),
        ({"file_path": ""}, "where the file lies"),
        ({"is_public": "maybe"}, "is_public is 'maybe'"),
        ({"file_size": "big"}, "file_size"),
        ({"file_size": -1}, "file_size"),
        ({"user_id": "7.0"}, "allowed is 7, without a fraction"),
        ({"created_at": "9999-01-01"}, "created_at"),
        ({"metadata": "[1]"}, "metadata"),
        ({"metadata": '{"a": "\\u0000"}'}, "metadata"),
        ({"tags": [1]}, "tags"),
        ({"description": "a\0b"}, "NUL"),
        ({"description": ["a"]}, "description"),
        ({"description": "\ud800"}, "half of a character"),
        ({"file_path": "\ud800.jpg"}, "half of a character"),
        ({"user_username": "\udc00"}, "half of a character"),
        ({"tags": ["\ud800"]}, "half of a character"),
        ({"metadata": {"a": "\ud800"}}, "half of a character"),
        ({"filename": {"a": 1}}, "filename"),
    ],
)
def test_a_cell_that_cannot_be_taken_is_named(cells: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        row_of("mediafiles", {**RECORD, **cells}, 2, None)


@pytest.mark.parametrize("missing", ["entity_type", "entity_id"])
def test_a_row_that_must_hang_on_something_says_on_what(missing: str) -> None:
    with pytest.raises(Invalid, match=f"{missing} is empty"):
        row_of(
            "entities",
            {**RECORD, "uploaded_by": 4, "entity_type": "user", "entity_id": "4", missing: ""},
            2,
            None,
        )


def test_a_time_that_no_upload_can_have_is_a_fault_of_the_export_and_no_time_is_none() -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=2)
    with pytest.raises(Invalid, match="created_at"):
        row(created_at=tomorrow.isoformat())
    assert row(created_at="0000-00-00 00:00:00").created_at is None


def test_a_column_that_there_is_cannot_be_what_another_one_is_called() -> None:
    there = dict.fromkeys(("id", "user_id", "file_path", "persona_id"))
    with pytest.raises(Invalid, match="'user_id' 'id', which the export has already"):
        columns.check("personas", there, {"user_id": "id"})


def test_the_columns_are_known_before_there_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "export").write_text("id;colour\n")
    assert export.names(tmp_path / "export", "utf-8") == ["id", "colour"]
    (tmp_path / "export").write_text("[]")
    assert export.names(tmp_path / "export", "utf-8") is None
    assert read(tmp_path, b"[]") == read(tmp_path, b"[ ]\n") == []


MEDIA = Media(
    id=uuid.UUID(UUID), public_id="MED-1", number=5, status="ready", media_type="image", mime_type="image/jpeg",
    filename="a.jpg", size=3, sha256="5" * 64, tags=("new", "house"), metadata={"a": 1}, caption="here",
    is_public=True, moderation="approved", profile="library", owner="7", url="", download_url="",
    created_at=datetime(2024, 1, 1, tzinfo=UTC), updated_at=datetime(2024, 1, 1, tzinfo=UTC),
)  # fmt: skip


def test_what_an_export_says_otherwise_of_what_is_here_is_named() -> None:
    said = {
        "id": 5,
        "file_path": "a.jpg",
        "user_id": 7,
        "caption": "here",
        "tags": "new, house",
        "metadata": {"a": 1},
    }
    same = row_of("library", {**said, "created_at": "2024-01-01"}, 2, None)
    assert [*of_there(same, MEDIA)] == []
    other = {
        **said,
        "user_id": 8,
        "is_public": "f",
        "caption": "",
        "tags": "old",
        "metadata": {},
        "created_at": "2023-01-01",
    }
    told = " ".join(of_there(row_of("library", other, 2, None), MEDIA))
    assert "is_public is 'true' here, 'false' in the export" in told
    assert [
        name for name in ("owner", "caption", "tags", "metadata", "created_at") if f"{name} is" not in told
    ] == []
    opened = Opened(fd=0, path="a.jpg", size=4, modified_ns=0)
    check_same_file(same, "5" * 64, opened, MEDIA)
    with pytest.raises(OtherFile, match="with another file: 3 bytes"):
        check_same_file(same, "6" * 64, opened, MEDIA)


@pytest.mark.parametrize("null", [None, "", "NULL", "\\N", "  "])
def test_a_database_writes_nothing_in_many_ways(null: str | None) -> None:
    found = row(description=null, is_public=null, created_at=null, file_size=null, tags=null, metadata=null)
    assert (found.fields, found.created_at, found.size) == ({}, None, None)


@pytest.fixture
def uploads(tmp_path: Path) -> Folder:
    root = tmp_path / "uploads"
    (root / "2024").mkdir(parents=True)
    (root / "2024" / "a.jpg").write_bytes(b"abc")
    (tmp_path / "secret").write_bytes(b"secret")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "up").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    return Folder(root, ("/srv/old/", "C:\\old"))


@pytest.mark.parametrize(
    "said",
    [
        "2024/a.jpg", "./2024//a.jpg", "uploads/2024/a.jpg", "/srv/old/2024/a.jpg", "2024\\a.jpg",
        "/srv/old/2024\\a.jpg", "C:\\old\\2024\\a.jpg",
        "http://localhost:8000/media/2024/a.jpg", "https://s3.test/bucket/2024/a%2Ejpg?X-Amz=1",
    ],
)  # fmt: skip
def test_a_file_is_found_by_what_older_systems_call_it(uploads: Folder, said: str) -> None:
    opened = uploads.open(said)
    assert os.read(opened.fd, 9) == b"abc"
    os.close(opened.fd)
    assert (opened.path, opened.size) == ("2024/a.jpg", 3)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("2024/b.jpg", "missing_file"),
        ("2024", "missing_file"),
        ("", "missing_file"),
        ("pipe", "missing_file"),
        ("2024/a.jpg/b", "missing_file"),
        pytest.param("x" * 5000, "missing_file", id="long"),
        ("../secret", "outside_folder"),
        ("2024/../../secret", "outside_folder"),
        ("..\\secret", "outside_folder"),
        ("http://h/b/../../secret", "outside_folder"),
        ("http://h/b/%2e%2e/secret", "outside_folder"),
        ("/etc/passwd", "outside_folder"),
        ("C:\\secret", "outside_folder"),
        ("link", "outside_folder"),
        ("up/secret", "outside_folder"),
        ("a\0b", "outside_folder"),
    ],
)
def test_nothing_outside_of_the_folder_is_read(uploads: Folder, said: str, why: str) -> None:
    with pytest.raises(NoFile) as found:
        uploads.open(said)
    assert found.value.why == why


def test_variants_of_the_older_systems_are_known_by_their_names() -> None:
    assert all(
        is_variant(path)
        for path in ("thumbnails/photo_thumbnail.jpg", "webp/a.webp", "2024/12/photo_ab12_thumb.jpg")
    )
    assert not any(is_variant(path) for path in ("2024/01/15/uuid_image.jpg", "images/1/2/large-dog.jpg"))


def test_a_journal_outlives_its_run_and_is_of_one_system(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    taken = Taken(
        old_id="5", id=UUID, public_id="MED-1", number=5, kept=True, note="it differs", path="a", said="x"
    )
    with Journal(path, dialect="library", source="", url="http://h") as journal:
        assert journal.see("5", 2)
        assert not journal.see("5", 3)
        journal.plan("5", "a.jpg")
        journal.take(taken)
        journal.fail(Failed(row=3, old_id="5", reason="duplicate_id", detail="twice"))
        with (
            pytest.raises(Invalid, match="another import is at it"),
            Journal(path, dialect="library", source="", url="http://h"),
        ):
            pass
    with Journal(path, dialect="library", source="", url="http://h") as journal:
        assert journal.former_id("5", "x") == UUID
        assert journal.former_id("5", "y") is None, "the export says something else now"
        assert journal.names("a")
        assert not journal.names("b")
        assert [*journal.taken()] == [taken]
        assert [*journal.differing()] == ([(taken.old_id, taken.note)] if taken.note else [])
        assert [*journal.failed()] == []
        assert not journal.is_planned("5", 2)
    with (
        pytest.raises(Invalid, match="of an import of library"),
        Journal(path, dialect="content", source="", url="http://h"),
    ):
        pass

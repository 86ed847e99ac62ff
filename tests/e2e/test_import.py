"""`tripod import`: each older system's media, moved by the command and read back through its own API by the old ids."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.importing import as_csv, as_json, as_lines, put, taken
from tests.e2e.test_cli import Tripod
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually

BASE = 2_000_000
"""Where the numbers of this file's older systems begin: no upload of another test has come as far."""
PHOTO = encoded(picture(120, 120))
OTHER = encoded(picture(120, 130, seed=5))


@pytest.fixture
def mover(system: System, tmp_path: Path) -> Iterator[Tripod]:
    made = Tripod(system, tmp_path, "mover", "service")
    yield made
    made.close()


@pytest.fixture
def api(system: System) -> Iterator[Any]:
    opened: list[httpx.Client] = []

    def caller(sub: str, **claims: object) -> httpx.Client:
        headers = {"Authorization": f"Bearer {system.token(sub, **claims)}"}
        opened.append(httpx.Client(base_url=system.origin_url, headers=headers, timeout=30))
        return opened[-1]

    yield caller
    for client in opened:
        client.close()


def read(client: httpx.Client, path: str) -> httpx.Response:
    """Once the catalog has taken the row in: an import waits for the acknowledgement alone."""
    answer: httpx.Response = eventually(
        lambda: found if (found := client.get(path)).status_code == 200 else None, f"{path} to be there"
    )
    return answer


def of_personas(folder: Path) -> list[dict[str, Any]]:
    return [
        {
            "id": BASE + n,
            "filename": f"{n:032x}.jpg",
            "original_filename": f"me {n}.jpg",
            "file_path": put(folder, f"images/{BASE}/71/{n:032x}.jpg", PHOTO + bytes([n])),
            "file_size": len(PHOTO) + 1,
            "mime_type": "image/jpeg",
            "media_type": "image",
            "persona_id": BASE,
            "user_id": 71,
            "description": "=1+1 is no formula, é",
            "created_at": "2024-01-01T12:00:00",
            "updated_at": "2024-02-01T12:00:00",
        }
        for n in (1, 2)
    ]


def test_personas_move_with_ids_owners_and_dates(mover: Tripod, api: Any, tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    export = as_csv(tmp_path / "files.csv", of_personas(folder))
    put(folder, "thumbnails/1_thumb.jpg", b"a thumbnail of theirs")
    token = tmp_path / "token"
    token.write_text(f"{mover.token}\n")
    asked = ["import", "--dialect", "personas", "--register-entities", "--token-file", str(token)]
    said = mover.json(*asked, str(folder), str(export))
    assert (said["imported"], said["not_taken"], said["renumbered"], said["variants"]) == (2, 0, 0, 1)
    mine = api("71")
    found = read(mine, f"/media/files/{BASE + 1}").json()
    wanted = {
        "id": BASE + 1,
        "original_filename": "me 1.jpg",
        "persona_id": BASE,
        "user_id": 71,
        "description": "=1+1 is no formula, é",
        "created_at": "2024-01-01T12:00:00",
    }
    assert {name: found[name] for name in wanted} == wanted
    assert read(mine, f"/media/download/{BASE + 2}").content == PHOTO + bytes([2])
    assert api("72").get(f"/media/files/{BASE + 1}").status_code == 404


@pytest.mark.long
def test_the_library_moves_from_lines_of_json_with_its_public_flag(
    mover: Tripod, api: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "media"
    records = [
        {
            "id": BASE + 100 + n,
            "filename": f"notes {n}.txt",
            "file_path": f"media/2024/01/15/uuid{n}_notes.txt",
            "file_size": 5,
            "mime_type": "text/plain",
            "file_type": "document",
            "description": "what was said",
            "alt_text": "notes",
            "user_id": owner,
            "is_public": public,
            "created_at": "2024-01-15 08:30:00+02:00",
        }
        for n, (owner, public) in enumerate([(73, False), (None, True)])
    ]
    for n in range(2):
        put(folder, f"2024/01/15/uuid{n}_notes.txt", b"old %d" % n)
    said = mover.json(
        "import", "--dialect", "library", str(folder), str(as_lines(tmp_path / "a.jsonl", records))
    )
    assert (said["imported"], said["renumbered"], said["differing_rows"]) == (2, 0, [])
    mine = api("73")
    found = read(mine, f"/media/{BASE + 100}").json()
    assert (found["user_id"], found["is_public"], found["alt_text"]) == (73, False, "notes")
    assert found["created_at"] == "2024-01-15T06:30:00Z"
    assert read(mine, f"/media/{BASE + 101}/download").content == b"old 1"


@pytest.mark.long
def test_content_moves_with_its_uuids_and_its_metadata(mover: Tripod, api: Any, tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    ids = [str(uuid.uuid4()) for _ in range(2)]
    about, owner = str(uuid.uuid4()), str(uuid.uuid4())
    records = [
        {
            "id": media_id,
            "content_id": about,
            "media_type": "image",
            "filename": "mission photo.jpg",
            "url": f"http://localhost:8002/api/v1/media/files/2024/12/photo_{media_id}.jpg",
            "storage_path": f"/home/ubuntu/uploads/2024/12/photo_{media_id}.jpg",
            "file_size": len(PHOTO) + 7,
            "mime_type": "image/jpeg",
            "metadata": {"location": "Uganda", "deep": {"n": [1, 2]}},
            "uploaded_by": owner,
            "created_at": "2024-12-22T10:00:00",
        }
        for media_id in ids
    ]
    for media_id in ids:
        put(folder, f"2024/12/photo_{media_id}.jpg", PHOTO)
        put(folder, f"2024/12/photo_{media_id}_thumb.jpg", b"theirs")
    export = as_json(tmp_path / "media.json", records)
    asked = ["import", "--dialect", "content", "--strip", "/home/ubuntu/uploads/", str(folder), str(export)]
    unknown = mover.json(*asked, code=1)
    assert {row["reason"] for row in unknown["not_taken_rows"]} == {"unknown_entity"}
    said = mover.json(*asked, "--register-entities")
    assert (said["imported"], said["renumbered"], said["registered"], said["variants"]) == (2, 0, 1, 2)
    assert "bytes" in said["differing_rows"][0]["note"], "the export told another size"
    found = read(api(owner), f"/api/v1/media/{ids[0]}").json()
    assert (found["id"], found["content_id"], found["uploaded_by"]) == (ids[0], about, owner)
    assert found["metadata"] == records[0]["metadata"]
    assert found["created_at"] == "2024-12-22T10:00:00Z"
    assert found["storage_path"].startswith("2024/12/")
    listed = read(api(owner), f"/api/v1/media/content/{about}/media").json()
    assert {media["id"] for media in listed} == set(ids)


@pytest.mark.long
def test_mediafiles_move_by_the_addresses_that_they_had(mover: Tripod, api: Any, tmp_path: Path) -> None:
    folder = tmp_path / "media"
    record = {
        "id": BASE + 300,
        "user": 75,
        "user_username": "john_doe",
        "file_type": "image",
        "status": "ready",
        "file_size": len(PHOTO),
        "mime_type": "image/jpeg",
        "urls": {"original": f"http://localhost:8000/media/user_75/image/{BASE + 300}_holi%20day.jpg"},
        "is_public": False,
        "created_at": "2025-12-04T11:00:00Z",
    }
    put(folder, f"user_75/image/{BASE + 300}_holi day.jpg", PHOTO)
    export = as_json(tmp_path / "media.json", [record])
    assert mover.json("import", "--dialect", "mediafiles", str(folder), str(export))["imported"] == 1
    found = read(api("75"), f"/api/media/{BASE + 300}/").json()
    assert (found["id"], found["user"], found["user_username"]) == (BASE + 300, 75, "john_doe")
    assert found["created_at"].startswith("2025-12-04T11:00:00")
    assert f"{BASE + 300}_holi-day.jpg" in found["urls"]["original"]


def test_entities_move_with_their_public_ids_and_what_moderators_said(
    mover: Tripod, api: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "artitec-media"
    ours = "MED-" + "01HX7Q4ZK2N8V5W3Y6T9R0ABCD"
    names = [ours, f"MED-{BASE}-8EL10B", None]
    records: list[dict[str, Any]] = [
        {
            "id": BASE + 400 + n,
            "public_id": name,
            "original_url": f"http://localhost:9000/artitec-media/properties/photos/P-1/2024-11/p{n}.jpg",
            "entity_type": "property",
            "entity_id": BASE,
            "entity_field": "gallery",
            "is_primary": n == 1,
            "sort_order": n,
            "alt_text": "Beautiful kitchen",
            "caption": "Newly renovated",
            "tags": ["modern", "luxury"],
            "is_public": True,
            "moderation_status": ["approved", "approved", "rejected"][n],
            "uploaded_by": 76,
            "created_at": "2024-11-20 15:30:45",
        }
        for n, name in enumerate(names)
    ]
    for n in range(3):
        data = OTHER if n == 2 else PHOTO + bytes([n])  # what looks like something rejected would be flagged
        put(folder, f"properties/photos/P-1/2024-11/p{n}.jpg", data)
    avatar = {"id": BASE + 403, "entity_type": "user", "entity_field": "avatar", "is_primary": True}
    records.append({**records[0], **avatar, "public_id": "MED-avatar.1"})
    export = as_csv(tmp_path / "media.csv", records, delimiter=";")
    said = mover.json("import", "--dialect", "entities", "--register-entities", str(folder), str(export))
    assert (said["imported"], said["renumbered"], said["not_taken_rows"]) == (4, 0, [])
    theirs = read(api(str(BASE)), f"/v1/media/{BASE + 403}").json()
    assert (theirs["public_id"], theirs["entity_field"]) == ("MED-avatar.1", "avatar")
    anybody = api("77")
    for n, name in enumerate(names[:2]):
        found = read(anybody, f"/v1/media/public/{name}").json()
        assert (found["id"], found["public_id"], found["sort_order"]) == (BASE + 400 + n, name, n)
        assert (found["is_primary"], found["tags"]) == (n == 1, ["modern", "luxury"])
    assert anybody.get(f"/v1/media/{BASE + 402}").status_code == 404, "it was rejected there"


@pytest.mark.long
def test_ids_that_are_taken_are_told_with_the_new_ones(mover: Tripod, api: Any, tmp_path: Path) -> None:
    folder = tmp_path / "media"
    put(folder, "a.txt", b"of another system")
    record = {"id": BASE + 100, "filename": "a.txt", "file_path": "a.txt", "user_id": 78}
    export = as_csv(tmp_path / "other.csv", [record])
    asked = ["import", "--dialect", "library", "--source", "other", str(folder), str(export)]
    first = put_one(mover, tmp_path, BASE + 100)
    said = mover.json(*asked)
    assert (said["imported"], said["renumbered"]) == (1, 1)
    header, line = Path(said["ids"]).read_text().splitlines()
    old, _, kept, number, *_ = line.split(",")
    assert (header.split(",")[0], old, kept) == ("old_id", str(BASE + 100), "no")
    assert int(number) != BASE + 100
    assert read(api("78"), f"/media/{number}/download").content == b"of another system"
    assert first in {0, 1}


def put_one(mover: Tripod, tmp_path: Path, number: int) -> int:
    """See to it that the number is taken, whichever test ran before; how many rows that took."""
    folder = tmp_path / "first"
    put(folder, "b.txt", b"first")
    export = as_csv(
        tmp_path / "first.csv", [{"id": number, "filename": "b.txt", "file_path": "b.txt", "user_id": 1}]
    )
    asked = ["import", "--dialect", "library", "--source", "first", str(folder), str(export)]
    return int(mover.json(*asked)["imported"])


@pytest.mark.long
def test_what_cannot_be_taken_is_told_row_by_row_and_the_rest_is_taken(mover: Tripod, tmp_path: Path) -> None:
    folder = tmp_path / "media"
    put(folder, "good.txt", b"good")
    put(folder, "page.html.jpg", b"<html><script>alert(1)</script></html>")
    put(tmp_path, "secret.txt", b"not theirs")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "linked").symlink_to(tmp_path)
    base = BASE + 500
    rows = [
        (base, "good.txt"),
        (base + 1, "missing.txt"),
        (base + 2, "../secret.txt"),
        (base + 3, str(tmp_path / "secret.txt")),
        (base + 4, "link.txt"),
        (base + 5, "linked/secret.txt"),
        (base, "good.txt"),
        (-3, "good.txt"),
        (2**64, "good.txt"),
        ("=cmd()", "good.txt"),
        (base + 6, "page.html.jpg"),
        (base + 7, "good.txt\0.png"),
    ]
    records = [{"id": n, "filename": path, "file_path": path, "user_id": 79} for n, path in rows]
    records.append({"id": base + 8, "filename": "x" * 1_000_000, "file_path": "good.txt", "user_id": "1"})
    export = as_csv(tmp_path / "bad.csv", records, encoding="utf-8-sig")
    dry = mover.json("import", "--dialect", "library", "--dry-run", str(folder), str(export), code=1)
    assert not list(tmp_path.glob("bad.csv.import*")), "a dry run writes nothing"
    assert (dry["imported"], dry["dry_run"]) == (2, True)
    said = mover.json("import", "--dialect", "library", str(folder), str(export), code=1)
    assert dry["not_taken_rows"] == said["not_taken_rows"]
    told = [(row["row"], row["reason"]) for row in said["not_taken_rows"]]
    assert told == [
        (3, "missing_file"),
        (4, "outside_folder"),
        (5, "outside_folder"),
        (6, "outside_folder"),
        (7, "outside_folder"),
        (8, "duplicate_id"),
        (9, "bad_column"),
        (10, "bad_column"),
        (11, "bad_column"),
        (12, "not_allowed_type"),
        (13, "bad_column"),
    ]
    assert said["imported"] == 2
    assert "secret" not in json.dumps(said["differing_rows"])


def test_an_import_that_is_killed_and_begun_again_ends_in_one_media_for_each_row(
    mover: Tripod, api: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "media"
    records = [
        {
            "id": BASE + 600 + n,
            "filename": f"{n}.txt",
            "file_path": put(folder, f"{n}.txt", b"row %d" % n),
            "user_id": 80,
            "created_at": f"2020-01-01 00:00:{n:02}",
        }
        for n in range(40)
    ]
    export = as_csv(tmp_path / "many.csv", records)
    asked = ["import", "--dialect", "library", "--concurrency", "2", str(folder), str(export)]
    mine = api("80")
    running = mover.start(*asked)
    eventually(lambda: len(numbers(mine)) >= 5, "some rows to be taken")
    running.kill()
    running.communicate()
    assert 0 < len(taken(export)) < 40
    said = mover.json(*asked)
    assert (said["imported"] + said["before"], said["not_taken"]) == (40, 0)
    assert said["before"] > 0
    eventually(lambda: len(numbers(mine)) >= 40, "the catalog to have them")
    assert numbers(mine) == [record["id"] for record in records]
    Path(f"{export}.import").unlink()
    as_csv(export, [{**record, "alt_text": "changed since"} for record in records])
    again = mover.json(*asked)
    assert (again["imported"], again["before"], again["renumbered"]) == (0, 40, 0), "the server knows them"
    assert again["differing_rows"][0]["note"] == "alt_text is '' here, 'changed since' in the export"
    Path(f"{export}.import").unlink()
    put(folder, "3.txt", b"another file")
    other = mover.json(*asked, code=1)
    assert [(row["old_id"], row["reason"]) for row in other["not_taken_rows"]] == [
        (str(BASE + 603), "other_file")
    ]
    assert numbers(mine) == [record["id"] for record in records]


def numbers(api: httpx.Client) -> list[int]:
    """Of all that a user owns."""
    found: list[dict[str, Any]] = api.get("/media/user/80", params={"limit": 1000}).json()
    return sorted(int(media["id"]) for media in found)


@pytest.mark.long
def test_a_thousand_rows_come_over_with_their_numbers(mover: Tripod, api: Any, tmp_path: Path) -> None:
    folder, count = tmp_path / "media", 1000
    records = [
        {
            "id": BASE + 10_000 + 3 * n,
            "filename": f"{n}.jpg",
            "file_path": put(folder, f"{n % 10}/{n}.jpg", PHOTO + b"%d" % n),
            "user_id": 81,
            "created_at": f"2020-01-01 00:{n // 60:02}:{n % 60:02}",
        }
        for n in range(count)
    ]
    export = as_csv(tmp_path / "thousand.csv", records)
    said = mover.json("import", "--dialect", "library", "--concurrency", "8", str(folder), str(export))
    assert (said["imported"], said["renumbered"]) == (count, 0)
    again = mover.json("import", "--dialect", "library", str(folder), str(export))
    assert (again["imported"], again["before"]) == (0, count)
    assert said["seconds"] < 100, "ten rows a second on a machine that has much to do"
    mine = api("81")
    path = "/media/user/81"
    eventually(lambda: len(mine.get(path, params={"limit": 1000}).json()) == count, "all rows", 60)
    found = mine.get(path, params={"limit": 1000}).json()
    assert {media["id"] for media in found} == {record["id"] for record in records}
    assert read(mine, f"/media/{records[-1]['id']}/download").content == PHOTO + b"%d" % (count - 1)

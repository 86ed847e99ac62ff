"""`tripod` as a person or a script runs it: an executable against the whole system, told by environment variables."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Client
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually

TRIPOD = str(Path(sys.executable).with_name("tripod"))


class Tripod:
    """The executable for one caller, in a folder of its own."""

    def __init__(self, system: System, folder: Path, sub: str, *roles: str) -> None:
        self.folder = folder
        self.token = system.token(sub, *roles)
        self._started: list[subprocess.Popen[str]] = []
        self._environment = {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "TRIPOD_URL": system.origin_url,
            "TRIPOD_TOKEN": self.token,
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        started = subprocess.Popen(
            [TRIPOD, *arguments],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self._started.append(started)
        return started

    def close(self) -> None:
        """What a test that failed has left."""
        for started in self._started:
            if started.poll() is None:
                started.kill()
                started.communicate()

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """What it printed; never a token."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code, (arguments, out, err)
        assert self.token not in out + err
        return out

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", code=code))


@pytest.fixture
def tripod(ann: Client, system: System, tmp_path: Path) -> Iterator[Tripod]:
    made = Tripod(system, tmp_path, ann.sub)
    yield made
    made.close()


def fill(folder: Path, count: int) -> list[Path]:
    """So many files in folders below it, no two alike; without pixels, so that nothing has to be made of them."""
    files = [folder / f"part {n % 3}" / f"näme {n}%2F.bin" for n in range(count)]
    for number, file in enumerate(files):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes([number]) * 1000)
    return files


def listed(ann: Client, count: int) -> list[dict[str, Any]]:
    """Her media once there are so many. The list's page holds 50."""

    def look() -> list[dict[str, Any]] | None:
        found = ann.mine()
        return found if len(found) >= count else None

    return eventually(look, f"{count} media to be listed")


def digests(files: list[Path]) -> list[str]:
    return sorted(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)


def test_a_folder_of_which_a_part_is_there_is_completed_and_what_is_refused_fails_alone(
    ann: Client, tripod: Tripod
) -> None:
    files = fill(tripod.folder / "holiday", 20)
    there = tripod.json("upload", *map(str, files[:5]), "--jobs", "2")
    assert (there["uploaded"], there["failed"], there["bytes"]) == (5, 0, 5000)

    (tripod.folder / "holiday" / "text.jpg").write_text("I am no picture.\n" * 20)
    (tripod.folder / "holiday" / ".hidden").write_text("not meant")
    ended = tripod.json("upload", "holiday", "--tag", "sea", "--tag", "sun", "--caption", "At sea", code=1)
    assert {name: ended[name] for name in ("uploaded", "skipped", "failed", "not_tried")} == {
        "uploaded": 15, "skipped": 5, "failed": 1, "not_tried": 0,
    }  # fmt: skip
    (refused,) = [file for file in ended["files"] if file["outcome"] == "failed"]
    assert refused["path"].endswith("text.jpg")
    assert refused["problem"]["status"] == 415

    mine = listed(ann, 20)
    assert sorted(media["sha256"] for media in mine) == digests(files)
    assert {media["filename"] for media in mine} == {file.name for file in files}
    assert [media["tags"] for media in mine[:15]] == [["sea", "sun"]] * 15


def test_a_run_that_is_interrupted_says_so_and_started_again_leaves_no_doubles(
    ann: Client, tripod: Tripod
) -> None:
    files = fill(tripod.folder / "many", 30)
    files.append(tripod.folder / "many" / "z.bin")
    with files[-1].open("wb") as big:
        big.truncate(16 * 1024 * 1024)
    first = tripod.start("upload", "many", "--jobs", "1", "--json")
    listed(ann, 3)
    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=60)
    assert first.returncode == 130, err
    stopped = json.loads(out)
    assert stopped["not_tried"] > 0
    assert len(stopped["files"]) == 31

    second = tripod.start("upload", "many", "--jobs", "1", "--json")
    listed(ann, stopped["uploaded"] + 3)
    second.kill()
    second.communicate(timeout=60)

    third = tripod.json("upload", "many")
    assert third["uploaded"] + third["skipped"] == 31
    mine = listed(ann, 31)
    assert sorted(media["sha256"] for media in mine) == digests(files)


def test_what_was_uploaded_is_listed_downloaded_watched_and_deleted(tripod: Tripod) -> None:
    data = encoded(picture(320, 200, seed=70), "PNG")
    (tripod.folder / "photo.png").write_bytes(data)
    watching = tripod.start("watch", "--json", "--since", "1m")
    media = tripod.json("upload", "photo.png")["files"][0]["media"]
    assert watching.stdout is not None
    seen = [json.loads(watching.stdout.readline())]
    while (
        seen[-1].get("media", {}).get("status") != "ready"
    ):  # already when it was told of, on a slow machine
        seen.append(json.loads(watching.stdout.readline()))
    assert [event["type"] for event in seen].count("media.created") == 1

    assert media["public_id"] in tripod("ls", "--mine", "--sha256", media["sha256"], "--limit", "0")
    found = tripod.json(
        "search", "PHOTO", "--filter", json.dumps(of_bytes(media["sha256"])), "--sort", "size"
    )
    assert [(one["media"]["id"], one["highlights"]) for one in found] == [
        (media["id"], {"filename": ["<mark>photo</mark>.png"]})
    ]
    assert media["public_id"] in tripod("search", "photo*", "--", "-harbour")
    (tripod.folder / "photo.png.part").write_bytes(data[:1000])
    assert f"{len(data)} bytes" in tripod("get", media["id"], "--force")
    assert (tripod.folder / "photo.png").read_bytes() == data
    got = tripod.json("get", media["public_id"], "--variant", "thumbnail", "-o", "small.jpg")
    assert (tripod.folder / "small.jpg").stat().st_size == got["size"]
    assert not list(tripod.folder.glob("*.part"))

    absent = "MED-" + "0" * 26
    deleted = tripod.json("rm", "--yes", media["id"], absent, code=1)["results"]
    assert [(one["ref"], one["deleted"]) for one in deleted] == [(media["id"], True), (absent, False)]
    assert deleted[1]["problem"]["status"] == 404
    while seen[-1]["type"] != "media.deleted":
        seen.append(json.loads(watching.stdout.readline()))
    watching.send_signal(signal.SIGINT)
    watching.communicate(timeout=60)
    assert watching.returncode == 130
    fresh = tripod.json("upload", "photo.png")
    assert fresh["uploaded"] == 1
    assert fresh["files"][0]["media"]["id"] != media["id"]


def of_bytes(sha256: str) -> dict[str, str]:
    return {"field": "sha256", "operator": "eq", "value": sha256}


def test_an_entity_is_registered_and_what_is_uploaded_hangs_on_it(
    tripod: Tripod, ann: Client, system: System, tmp_path: Path
) -> None:
    service = Tripod(system, tmp_path, "backend", "service")
    entity_id = hashlib.sha256(ann.sub.encode()).hexdigest()[:8]
    put = service.json("entity", "put", f"shelf/{entity_id}", "--owner", ann.sub, "--display-id", "SH-1")
    assert (put["owners"], put["display_id"]) == ([ann.sub], "SH-1")
    (tmp_path / "a.bin").write_bytes(b"\1" * 100)
    said = ("--entity", f"shelf/{entity_id}", "--field", "notes", "--metadata", '{"k": "ä"}', "--public")
    media = tripod.json("upload", "a.bin", *said)["files"][0]["media"]
    assert (media["entity"]["type"], media["entity"]["id"], media["entity"]["field"]) == (
        "shelf", entity_id, "notes",
    )  # fmt: skip
    assert (media["metadata"], media["is_public"]) == ({"k": "ä"}, True)
    # Elsewhere it is another media; and what is too long for an address goes into a form.
    (tmp_path / "a.bin").rename(tmp_path / 'a "ü" %.bin')
    elsewhere = tripod.json(
        "upload", 'a "ü" %.bin', "--description", "ä" * 3000, "--tag", "x,y", "--tag", "z"
    )
    media = elsewhere["files"][0]["media"]
    assert (elsewhere["uploaded"], media["filename"]) == (1, 'a "ü" %.bin')
    assert (media["description"], media["tags"]) == ("ä" * 3000, ["x", "y", "z"])

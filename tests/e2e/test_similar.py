"""What looks alike, through the whole system: by a media, by a picture at hand, however it lies; and the groups."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.e2e.conftest import Client
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually

TRIPOD = str(Path(sys.executable).with_name("tripod"))
ORIGINAL = picture(900, 600, seed=31)
MIRRORED = ORIGINAL.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((450, 300))
TURNED = ORIGINAL.transpose(Image.Transpose.ROTATE_270)  # a quarter clockwise


@pytest.fixture
def family(ann: Client, bob: Client) -> dict[str, str]:
    """Ids to names: her picture, a mirrored copy, a smaller one; and another's private copy."""
    made = {
        "original": ann.uploaded(encoded(ORIGINAL)),
        "mirrored": ann.uploaded(encoded(MIRRORED, "PNG"), "mirrored.png"),
        "small": ann.uploaded(encoded(ORIGINAL.resize((300, 200)), "PNG"), "small.png"),
        "hidden": bob.uploaded(encoded(ORIGINAL)),
    }
    return {media["id"]: name for name, media in made.items()}


def told(answer: httpx.Response, family: dict[str, str]) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    assert all(item["distance"] <= 5 for item in items)
    return {family[item["media"]["id"]]: item["transform"] for item in items}


def test_copies_are_found_however_they_lie_and_nothing_of_the_question_is_kept(
    ann: Client, system: System, family: dict[str, str], tmp_path: Path
) -> None:
    ref = next(media_id for media_id, name in family.items() if name == "original")
    path = f"/v1/media/{ref}/similar"
    assert told(ann.http.get(path), family) == {"small": "none"}
    assert told(ann.http.get(path, params={"transforms": "mirror"}), family) == {
        "small": "none",
        "mirrored": "mirrored",
    }

    def search(**params: str) -> dict[str, str]:
        files = {"file": ("turned.png", encoded(TURNED, "PNG"), "image/png")}
        return told(ann.http.post("/v1/media/similar", files=files, params=params), family)

    before = len(ann.mine())
    assert search() == {}
    # Turned on by three quarters, the picture at hand lies as hers does.
    assert search(transforms="rotate") == {"original": "rotated_270", "small": "rotated_270"}
    assert search(transforms="mirror,rotate").keys() == {"original", "small", "mirrored"}
    assert len(ann.mine()) == before

    file = tmp_path / "turned.png"
    file.write_bytes(encoded(TURNED, "PNG"))
    printed = tripod(system, ann.sub, "similar", str(file), "--rotate", "--json")
    found = {family[item["media"]["id"]] for item in json.loads(printed)["items"]}
    assert found == {"original", "small"}
    assert "small.png" in tripod(system, ann.sub, "similar", ref)


def tripod(system: System, sub: str, *arguments: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
        "TRIPOD_URL": system.origin_url,
        "TRIPOD_TOKEN": system.token(sub),
    }
    ended = subprocess.run(
        [TRIPOD, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_groups_of_copies_tell_which_one_to_keep(ann: Client, family: dict[str, str]) -> None:
    def look() -> list[dict[str, Any]]:
        answer = ann.http.get("/v1/media/duplicates", params={"kind": "near"})
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    (group,) = eventually(look, "the group")
    assert [family[member["id"]] for member in group["members"]] == ["original", "small"]
    assert family[group["keep"]] == "original"
    assert group["bytes_to_free"] == group["members"][1]["size"]
    assert ann.http.get("/v1/media/duplicates").json()["items"] == []

"""Ingest dies at each step of an import; every row is here afterwards, once, under the id that it had."""

import itertools
import os
import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import pytest

from tests.e2e.importing import as_json, put, taken
from tests.faults.conftest import Victim
from tests.faults.control import armed, assert_whole, ready

TRIPOD = str(Path(sys.executable).with_name("tripod"))
ROWS = 20
_bases = itertools.count(3_000_000, 1000)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "step", ["after_intent", "after_store", "before_publish", "after_ack", "before_answer"]
)
def test_ingest_dies_at_this_step_of_an_import_and_every_row_is_here_once(
    victim: Victim, tmp_path: Path, step: str
) -> None:
    base, owner, folder = next(_bases), uuid.uuid4().hex, tmp_path / "media"
    files = {base + n: f"row {base + n}".encode() for n in range(ROWS)}
    export = as_json(
        tmp_path / "export.json",
        [
            {"id": n, "filename": f"{n}.txt", "file_path": put(folder, f"{n}.txt", data), "user_id": owner}
            for n, data in files.items()
        ],
    )
    token = victim.stack.token("mover", "service")
    known = {"PATH": os.environ["PATH"], "TRIPOD_URL": victim.stack.origin_url, "TRIPOD_TOKEN": token}
    command = [TRIPOD, "import", "--dialect", "library", "--retries", "30", str(folder), str(export)]
    with armed(victim.stack, f"ingest.{step}:7") as revive:
        ready(victim.stack)
        with subprocess.Popen(command, env=known, stderr=subprocess.PIPE, text=True) as running:
            revive()
            _, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    for old, media_id in taken(export).items():
        victim.ledger.note(media_id, files[int(old)], tries=1, seconds=0)
    assert_whole(victim.stack, victim.ledger, victim.folder)
    headers = {"Authorization": f"Bearer {victim.stack.token(owner)}"}
    with httpx.Client(base_url=victim.stack.origin_url, headers=headers, timeout=30) as mine:
        found = mine.get("/v1/media", params={"owner": owner, "limit": 100}).json()["items"]
    assert sorted(media["number"] for media in found) == sorted(files)

"""The README tells the truth: its examples run as they are printed."""

import json
import re
import subprocess
from pathlib import Path

from tests.e2e.conftest import Client
from tests.fixtures.pictures import photo
from tests.fixtures.stack import Stack
from tests.fixtures.waiting import eventually

POST = "of-the-readme"
README = Path(__file__).parents[2] / "README.md"


def commands() -> list[str]:
    """Every curl command of the README, in order."""
    return [
        line
        for block in re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)
        for line in block.splitlines()
        if line.startswith("curl ")
    ]


def test_every_curl_example_of_the_readme_runs_as_written(
    ann: Client, service: Client, stack: Stack, tmp_path: Path
) -> None:
    (tmp_path / "photo.jpg").write_bytes(photo(seed=50))
    assert service.http.put(f"/v1/entities/post/{POST}", json={"owners": [ann.sub]}).is_success
    eventually(
        lambda: ann.upload(b"a text", "a.txt", entity_type="post", entity_id=POST).is_success,
        "ingest to know the post",
    )
    found = commands()
    assert len(found) >= 10
    token = ann.http.headers["authorization"].removeprefix("Bearer ")
    media_id = ""
    for command in found:
        script = command.replace("http://localhost:8000", stack.origin_url)
        script = script.replace("entity_id=1", f"entity_id={POST}")  # that one is another's
        ended = subprocess.run(
            ["sh", "-c", f"{script} --fail-with-body"],
            cwd=tmp_path,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "TOKEN": token, "ID": media_id},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, (command, ended.stdout, ended.stderr)
        if not media_id:
            media_id = json.loads(ended.stdout)["id"]
            assert ann.final(media_id)["status"] == "ready"
    assert (tmp_path / "original.jpg").read_bytes() == (tmp_path / "photo.jpg").read_bytes()
    assert (tmp_path / "thumbnail.jpg").read_bytes().startswith(b"\xff\xd8")

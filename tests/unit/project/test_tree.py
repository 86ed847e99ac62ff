"""What the tree may hold: our own files, none of which says where packages come from."""

import re
import subprocess
from pathlib import Path

PROJECT = Path(__file__).parents[3]
# Put together here, so that this file does not name them either.
_NAMES = ("python" + "hosted", "py" + "pi", "npm" + "js", "deb" + "ian", "go" + "lang", "crat" + "es")
_HOSTS = re.compile(rf"[\w.-]*(?:{'|'.join(_NAMES)})[.](?:org|com|io)\b")


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True)
    return [PROJECT / line for line in listed.stdout.splitlines() if (PROJECT / line).is_file()]


def test_no_file_names_the_host_of_a_package_index() -> None:
    named = [str(p) for p in tracked() if _HOSTS.search(p.read_text(errors="ignore"))]
    assert named == []


def test_every_locked_wheel_has_its_hashes_and_no_address() -> None:
    text = (PROJECT / "requirements.lock").read_text()
    assert "://" not in text
    pinned = re.findall(r"^[a-z0-9][\w.-]*==", text, re.MULTILINE)
    assert len(pinned) > 50
    assert text.count("--hash=sha256:") >= len(pinned)


def test_no_generated_file_and_nothing_of_others_is_kept() -> None:
    kept = {p.suffix for p in tracked()}
    assert not kept & {".whl", ".so", ".pyc", ".jpg", ".jpeg", ".png", ".gif", ".mp4", ".pdf", ".zip", ".map"}
    large = [str(p) for p in tracked() if p.stat().st_size > 300_000 and p.suffix != ".lock"]
    assert large == []

"""Runs what the older systems' documents print for a command line, with what it takes for given filled in."""

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_HERE = re.compile(r"http://localhost:800[02]")


def run(command: list[str], origin: str, folder: Path, given: Mapping[str, str], **environment: str) -> str:
    """What the program says, started in this folder and with no other environment."""
    filled = [_HERE.sub(origin, part) for part in command]
    for printed, value in given.items():
        filled = [part.replace(printed, value) for part in filled]
    environment["PATH"] = "/usr/local/bin:/usr/bin:/bin"
    ended = subprocess.run(filled, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, (command, ended.stdout, ended.stderr)
    return ended.stdout


def curl(
    command: str, origin: str, folder: Path, given: Mapping[str, str] | None = None, **environment: str
) -> Any:
    """What the real curl brings, read as JSON; None where it brings nothing, or writes it to a file. Fails where the
    answer is an error."""
    strict = command.strip() + " --silent --show-error --fail-with-body"
    said = run(["sh", "-c", strict], origin, folder, given or {}, **environment)
    return json.loads(said) if said else None


def curl_of_media(command: str, origin: str, folder: Path, number: object) -> Any:
    """The same; its media 1 is the one of this number."""
    return curl(re.sub(r"media/1(?=\D|$)", f"media/{number}", command.strip()), origin, folder)

"""Which program the operator has named for encoding, what it may read, and whether it can do what is asked of it."""

import os
import re
import subprocess
from pathlib import Path

import msgspec

from shared.env import Env

_ENCODERS = ("libx264", "aac", "libmp3lame")
_LEAST_LIBRARY = (59, 37)  # libavcodec's number in FFmpeg 5.1, the first that knows all options that are used
_SECONDS = 20.0
_LIBRARIES = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/etc/ld.so.cache")
_SAID = 200  # characters of what a program says that are repeated
ENVIRONMENT = {"LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"}
"""All that the program gets to know."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """Its absolute path, and the files and folders that it may read and execute; all others it cannot open."""

    path: str
    reads: tuple[str, ...]


class _Unfit(Exception):
    """The reason why a program will not do, in words that follow its path."""


def from_env(env: Env) -> Program | None:
    """The program that TRIPOD_FFMPEG names; None where it is empty. One that will not do is complained about."""
    path = env.text("TRIPOD_FFMPEG", "")
    if not path:
        return None
    try:
        return checked(path)
    except _Unfit as error:
        allowed = f"the whole path of a program ffmpeg from 5.1 on with {', '.join(_ENCODERS)} ({error})"
        env.complain("TRIPOD_FFMPEG", path, allowed)
        return None


def checked(path: str) -> Program:
    """The program, which is run to see what it can do."""
    if not Path(path).is_absolute():
        raise _Unfit("this is no whole path")
    if not Path(path).is_file():
        raise _Unfit("there is no such file")
    if not os.access(path, os.X_OK):
        raise _Unfit("this one may not be executed")
    said = _answer(path, "-version")
    library = re.search(r"^libavcodec +(\d+)\. *(\d+)\.", said, re.MULTILINE)
    if not said.startswith("ffmpeg version") or library is None:
        raise _Unfit(f"this one answers -version with {said[:_SAID]!r}")
    if tuple(map(int, library.groups())) < _LEAST_LIBRARY:
        raise _Unfit(f"this one is older: {said.splitlines()[0][:_SAID]!r}")
    found = set(re.findall(r"^ [VA]\S+ (\S+)", _answer(path, "-encoders"), re.MULTILINE))
    missing = [name for name in _ENCODERS if name not in found]
    if missing:
        raise _Unfit(f"this one has no {', '.join(missing)}")
    return Program(path=path, reads=readable(path))


def _answer(path: str, question: str) -> str:
    try:
        run = subprocess.run(  # noqa: S603 - the operator's own, and arguments of ours
            [path, "-hide_banner", question] if question != "-version" else [path, question],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _Unfit(f"this one does not answer {question} within {_SECONDS:g} seconds") from None
    except OSError as error:
        raise _Unfit(f"this one does not start: {error.strerror}") from error
    said = run.stdout.decode("utf-8", "replace").rstrip()
    if run.returncode != 0:
        raise _Unfit(f"this one ends {question} with status {run.returncode}: {said[-_SAID:]!r}")
    return said


def readable(path: str) -> tuple[str, ...]:
    """The system's libraries, and of a program from elsewhere its own folder and the libraries beside that."""
    named, real = Path(path), Path(path).resolve()
    folders: list[str] = []
    for folder in {named.parent, real.parent}:
        if folder == Path("/"):
            folders += [str(named), str(real)]
        else:
            folders += [str(folder), *(str(folder.parent / name) for name in ("lib", "lib64"))]
    return tuple(dict.fromkeys(place for place in (*_LIBRARIES, *sorted(folders)) if Path(place).exists()))

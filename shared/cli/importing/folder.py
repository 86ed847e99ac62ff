"""Files below one folder and nowhere else: no `..`, no absolute path and no symbolic link leads out of it."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import unquote, urlsplit

import msgspec

from shared.errors import TripodError

Why: TypeAlias = Literal["missing_file", "outside_folder"]
_URL_ROOTS = ("media/", "uploads/", "api/v1/media/files/", "static/")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_VARIANT_FOLDERS = {
    "thumbnails",
    "thumbnail",
    "thumbs",
    "small",
    "medium",
    "large",
    "webp",
    "optimized",
    "posters",
    "processed",
}
_VARIANT = re.compile(r".*[_-](thumb|thumbnail|small|medium|large|webp|xlarge)\.[A-Za-z0-9]+")


class NoFile(TripodError):
    """A row's file is not there, or not ours to read."""

    def __init__(self, detail: str, why: Why) -> None:
        super().__init__(detail)
        self.why: Why = why


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """An open file; whoever has it closes `fd`. `path` is below the folder."""

    fd: int
    path: str
    size: int
    modified_ns: int


class Folder:
    """`strip`: what paths in the export begin with that the folder does not have."""

    def __init__(self, root: Path, strip: tuple[str, ...] = ()) -> None:
        self._root = Path(os.path.abspath(root))  # noqa: PTH100 - links in it are the operator's own
        self._strip = strip

    def open(self, said: str) -> Opened:
        """The file that a row names. Raises NoFile."""
        first: NoFile | None = None
        for path in self._candidates(said):
            try:
                return self._open(path)
            except NoFile as error:
                if error.why == "outside_folder":
                    raise
                first = first or error
        raise first or NoFile("The row names no file.", "missing_file")

    def _candidates(self, said: str) -> Iterator[str]:
        """Paths below the folder that it may mean."""
        text = next((said[len(p) :].lstrip("/\\") for p in self._strip if p and said.startswith(p)), said)
        if "\\" in text:
            yield from self._below(said, text.replace("\\", "/"))
        yield from self._below(said, text)

    def _below(self, said: str, text: str) -> Iterator[str]:
        if text.startswith(("http://", "https://")):
            path = unquote(urlsplit(text).path).lstrip("/")
            yield path
            yield from (path.removeprefix(root) for root in _URL_ROOTS if path.startswith(root))
            if "/" in path:
                yield path.split("/", 1)[1]  # the first part is a bucket
            return
        own = f"{self._root}/"
        if text.startswith(own):
            text = text.removeprefix(own)
        if text.startswith("/") or _DRIVE.match(text):
            raise NoFile(
                f"{said[:200]!r} is an absolute path; --strip says what of it the folder does not have.",
                "outside_folder",
            )
        yield text
        name = f"{self._root.name}/"
        if text.removeprefix("./").startswith(name):
            yield text.removeprefix("./").removeprefix(name)

    def _open(self, path: str) -> Opened:
        parts = [part for part in path.split("/") if part not in {"", "."}]
        if ".." in parts or "\0" in path:
            raise NoFile(f"{path[:200]!r} leads out of the folder.", "outside_folder")
        if not parts:
            raise NoFile("The row names no file.", "missing_file")
        at = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in parts[:-1]:
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
                os.close(at)
                at = inner
            fd = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
        except OSError as error:
            raise self._refusal(error, parts) from error
        finally:
            os.close(at)
        state = os.fstat(fd)
        if not stat.S_ISREG(state.st_mode):
            os.close(fd)
            raise NoFile(f"{path[:200]!r} is no file.", "missing_file")
        return Opened(fd=fd, path="/".join(parts), size=state.st_size, modified_ns=state.st_mtime_ns)

    def _refusal(self, error: OSError, parts: list[str]) -> NoFile:
        path = "/".join(parts)[:200]
        linked = any(os.path.islink(self._root.joinpath(*parts[: n + 1])) for n in range(len(parts)))  # noqa: PTH114 - no error
        if error.errno in {errno.ELOOP, errno.ENOTDIR} and linked:
            return NoFile(
                f"{path!r} is, or lies behind, a symbolic link; none is followed.", "outside_folder"
            )
        return NoFile(f"{path!r} cannot be read: {error.strerror or error}.", "missing_file")

    def files(self) -> Iterator[str]:
        """Every file below the folder; links are not followed."""
        for at, _, names in os.walk(self._root):
            for name in names:
                yield os.path.relpath(os.path.join(at, name), self._root)  # noqa: PTH118 - a million of them


def is_variant(path: str) -> bool:
    """Whether the older systems gave such a name to what they made of another file."""
    *folders, name = path.split("/")
    return bool(_VARIANT.fullmatch(name)) or any(folder in _VARIANT_FOLDERS for folder in folders)

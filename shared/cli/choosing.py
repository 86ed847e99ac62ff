"""Which files a command line means: files as they are named, folders with all that is below them."""

import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from shared.errors import Invalid


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """How folders are read: patterns of names or of paths below the folder, and whether hidden ones count. A file that
    is named itself is always meant."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hidden: bool = False

    def takes(self, relative: str) -> bool:
        """Whether it is meant; `relative` is its path below the folder, with slashes."""
        if not self.hidden and any(part.startswith(".") for part in relative.split("/")):
            return False
        if _fits(relative, self.exclude):
            return False
        return not self.include or _fits(relative, self.include)


def _fits(relative: str, patterns: tuple[str, ...]) -> bool:
    name = relative.rsplit("/", 1)[-1]
    return any(fnmatchcase(relative, pattern) or fnmatchcase(name, pattern) for pattern in patterns)


def chosen(paths: Iterable[Path], choice: Choice) -> list[Path]:
    """Each file once, in the order of the paths and by name within a folder. Links to files are followed, links to
    folders are not: they may lead in a circle. Raises Invalid for a path that is not there, and where
    nothing is left."""
    found: dict[str, Path] = {}
    for path in paths:
        if path.is_dir():
            below = list(_below(path, choice))
        elif path.is_file():
            below = [path]
        else:
            raise Invalid(f"{os.fspath(path)!r} is no file and no folder.")
        for file in below:
            found.setdefault(os.path.realpath(file), file)
    if not found:
        raise Invalid("There is no file to upload: the folders are empty, or nothing in them is meant.")
    return list(found.values())


def _below(folder: Path, choice: Choice) -> Iterator[Path]:
    for here, folders, names in os.walk(folder, onerror=_unreadable):
        folders.sort()
        for name in sorted(names):
            file = Path(here, name)
            if choice.takes(file.relative_to(folder).as_posix()) and (file.is_file() or file.is_symlink()):
                yield file


def _unreadable(error: OSError) -> None:
    raise Invalid(f"The folder {error.filename!r} cannot be read: {error.strerror}.")

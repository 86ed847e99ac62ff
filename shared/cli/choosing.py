"""Which files a command line means: files as they are named, folders with all that is below them."""

import os
import stat
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

    def enters(self, relative: str) -> bool:
        """Whether a folder is looked into. One in which nothing can be meant may be closed to us."""
        if not self.hidden and relative.rsplit("/", 1)[-1].startswith("."):
            return False
        whole = (
            pattern for pattern in self.exclude if pattern.endswith("*")
        )  # fits all below if it fits this
        return not any(fnmatchcase(f"{relative}/", pattern) for pattern in whole)


def _fits(relative: str, patterns: tuple[str, ...]) -> bool:
    name = relative.rsplit("/", 1)[-1]
    return any(fnmatchcase(relative, pattern) or fnmatchcase(name, pattern) for pattern in patterns)


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be sent, each file once, and what of the command line or below its folders cannot be, with why."""

    files: list[Path]
    faults: dict[Path, Invalid]


def chosen(paths: Iterable[Path], choice: Choice) -> Chosen:
    """In the order of the paths and by name within a folder. Links to files are followed, links to folders are not:
    they may lead in a circle. A path that is not there and a folder that cannot be read are faults of their own, the
    others go on. Raises Invalid where nothing is left, not even a fault."""
    found: dict[str, Path] = {}
    faults: dict[Path, Invalid] = {}
    for path in paths:
        for file in _meant(path, choice, faults):
            found.setdefault(os.path.realpath(file), file)
    if not found and not faults:
        raise Invalid("There is no file to upload: the folders are empty, or nothing in them is meant.")
    return Chosen(files=list(found.values()), faults=faults)


def _meant(path: Path, choice: Choice, faults: dict[Path, Invalid]) -> Iterator[Path]:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        faults[path] = Invalid(f"It cannot be read: {error.strerror}.")
        return
    except ValueError:  # a NUL in it
        faults[path] = Invalid("It is no path.")
        return
    if stat.S_ISDIR(mode):
        yield from _below(path, choice, faults)
    elif stat.S_ISREG(mode):
        yield path
    else:
        faults[path] = Invalid("It is no file and no folder.")


def _below(folder: Path, choice: Choice, faults: dict[Path, Invalid]) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        faults[Path(error.filename)] = Invalid(f"The folder cannot be read: {error.strerror}.")

    for here, folders, names in os.walk(folder, onerror=unreadable):
        below = Path(here).relative_to(folder)
        folders[:] = sorted(name for name in folders if choice.enters((below / name).as_posix()))
        for name in sorted(names):
            if choice.takes((below / name).as_posix()) and _may_be_sent(Path(here, name)):
                yield Path(here, name)


def _may_be_sent(file: Path) -> bool:
    """Whether it is a file; also where that cannot be asked: reading it will say why."""
    try:
        return file.is_symlink() or file.is_file()
    except OSError:
        return True

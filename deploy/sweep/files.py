"""The files of a sweep, and the class that each belongs to."""

from pathlib import Path

import msgspec

from deploy.errors import StackError

MANIFEST = "manifest.tsv"


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One file; `name` is its path below the folder, `kind` the class it is counted under."""

    path: Path
    name: str
    kind: str


def samples(folder: Path) -> list[Sample]:
    """All files below the folder, by name. Raises StackError where there is none.

    The class is what a manifest says (`path`, tab, class; of the folder or of one it lies in), with the folder
    above the file before it; without a manifest the suffix takes its place.
    """
    told = _manifest(folder)
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    if not paths:
        raise StackError(f"There is no file below {folder}.")
    return [_sample(path, folder, told) for path in paths]


def _sample(path: Path, folder: Path, told: dict[Path, str]) -> Sample:
    above = path.parent.relative_to(folder).as_posix()
    what = told.get(path) or path.suffix.lower().lstrip(".") or "no suffix"
    return Sample(
        path=path,
        name=path.relative_to(folder).as_posix(),
        kind=what if above == "." else f"{above}: {what}",
    )


def _manifest(folder: Path) -> dict[Path, str]:
    for base in (folder, *list(folder.parents)[:3]):
        file = base / MANIFEST
        if file.is_file():
            rows = (line.split("\t") for line in file.read_text().splitlines())
            return {base / row[0]: row[1] for row in rows if len(row) > 1}
    return {}

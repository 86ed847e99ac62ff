"""What the README says of settings is all there is, and nothing that there is not."""

import re
from pathlib import Path

PROJECT = Path(__file__).parents[3]
_NAME = re.compile(r"\bTRIPOD_[A-Z0-9_]+\b")


def test_the_readme_names_every_setting_and_no_other() -> None:
    table = set(_NAME.findall((PROJECT / "README.md").read_text()))
    read = {
        name
        for folder in ("services", "shared", "deploy")
        for file in (PROJECT / folder).rglob("*.py")
        for name in re.findall(
            r"""(?:\.(?:text|choice|integer|seconds|url|secret)\(\s*|\(env, |envvar=)"(TRIPOD_[A-Z0-9_]+)\"""",
            file.read_text(),
        )
    }
    assert len(read) > 30
    read |= set(_NAME.findall((PROJECT / ".env.example").read_text())) & table  # what Compose alone reads
    assert read - table == set()
    assert table - read == set()

"""The tables of what older APIs promise name tests that there are."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
TABLES = sorted(set((PROJECT / "docs" / "dialects").glob("*.md")) - {PROJECT / "docs/dialects/README.md"})
_TEST = re.compile(r"(tests/[\w/]+\.py)::(test_\w+)")
_HEAD = "| promise | shown by |"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.stem)
def test_every_test_that_a_table_names_is_there(table: Path) -> None:
    named = _TEST.findall(table.read_text())
    assert len(named) > 10
    for file, test in named:
        assert re.search(rf"def {test}\(", (PROJECT / file).read_text()), (file, test)


@pytest.mark.parametrize("name", ["personas", "library", "content", "mediafiles", "entities"])
def test_every_promise_names_a_test_or_says_why_there_is_none(name: str) -> None:
    lines = (PROJECT / "docs" / "dialects" / f"{name}.md").read_text().splitlines()
    promises = [line for line in lines if line.startswith("| ") and line != _HEAD and "| ---" not in line]
    assert len(promises) > 20
    for row in promises:
        shown = row.removesuffix(" |").rpartition(" | ")[2]
        assert _TEST.search(shown) or re.match(r"the table in |not part", shown), row


@pytest.mark.parametrize("name", ["personas", "library", "content", "mediafiles", "entities"])
def test_the_pages_of_all_dialects_are_built_alike(name: str) -> None:
    promised, moving = (
        headings(PROJECT / "docs" / folder / f"{name}.md") for folder in ("dialects", "moving")
    )
    assert (promised[0], promised[-1]) == ("What was decided", "Beside the document")
    assert moving == [
        "The one line that changes", "What stays", "What your client will see", "What your back end does",
        "Data and settings",
    ]  # fmt: skip
    readme = (PROJECT / "README.md").read_text()
    assert f"docs/moving/{name}.md" in readme
    assert f"docs/dialects/{name}.md" in readme


def headings(page: Path) -> list[str]:
    return [line.removeprefix("## ") for line in page.read_text().splitlines() if line.startswith("## ")]

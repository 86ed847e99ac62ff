"""What tests may import: those of the whole system speak HTTP and know nothing of what is behind it."""

import ast
from pathlib import Path

PROJECT = Path(__file__).parents[3]
OURS = {"services", "shared", "deploy"}


def imported(file: Path) -> set[str]:
    """The modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_tests_of_the_whole_system_import_nothing_of_ours() -> None:
    files = sorted((PROJECT / "tests" / "e2e").rglob("*.py"))
    assert len(files) > 3
    ours = {
        f"{file.relative_to(PROJECT)}: {module}"
        for file in files
        for module in imported(file)
        if module.partition(".")[0] in OURS
    }
    assert ours == set()


def test_tests_of_the_whole_system_take_fixtures_only() -> None:
    of_tests = {
        module
        for file in (PROJECT / "tests" / "e2e").rglob("*.py")
        for module in imported(file)
        if module.startswith("tests.")
    }
    assert {
        module for module in of_tests if not module.startswith(("tests.fixtures.", "tests.e2e."))
    } == set()

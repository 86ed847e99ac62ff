"""That a parallel run keeps tests together that share something: else each process starts all of it anew."""

import os
import subprocess
import sys
from pathlib import Path

from tests.fixtures.sharing import group, place

PHOTO = "tests/e2e/test_photo.py::test_a_photo[a::b]"
DIALECT = "tests/e2e/dialects/test_content.py::test_a_content"
KILL = "tests/faults/test_kills.py::test_a_kill"
LISTS = "tests/integration/catalog/test_lists.py::test_a_list"
UNIT = "tests/unit/storage/test_keys.py::test_a_key"
ONE_FILE = """
import pathlib
import pytest

@pytest.mark.parametrize("number", range(20))
def test_it(number, worker_id):
    pathlib.Path(f"{__name__}.{worker_id}").touch()
"""


def test_what_shares_a_system_or_a_file_is_one_group() -> None:
    assert group(PHOTO) == group(DIALECT)
    assert len({group(test) for test in (PHOTO, KILL, LISTS, UNIT)}) == 4
    assert group(LISTS) == "tests/integration/catalog/test_lists.py"


def test_long_groups_are_begun_before_short_ones() -> None:
    assert sorted([UNIT, LISTS, PHOTO, KILL], key=place) == [KILL, PHOTO, LISTS, UNIT]


def test_a_parallel_run_keeps_each_group_in_one_process(tmp_path: Path) -> None:
    for name in ("test_one.py", "test_two.py"):
        (tmp_path / name).write_text(ONE_FILE)
    plugins = ("-p", "xdist", "-p", "tests.fixtures.sharing", "-p", "no:cacheprovider")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, "-n", "2", "."],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "40 passed" in run.stdout, run.stdout + run.stderr
    seen = sorted(file.name.partition(".")[0] for file in tmp_path.glob("test_*.gw*"))
    assert seen == ["test_one", "test_two"]

"""The page about formats says what the table in the code says."""

from pathlib import Path

from services.ingest import office, sniff
from shared.formats import FORMATS

PAGE = (Path(__file__).parents[3] / "docs" / "formats.md").read_text()


def test_the_page_has_a_row_for_every_format_with_all_its_names() -> None:
    rows = [
        f"| `{one.mime}` | {one.media_type} | {' '.join(one.extensions)} | "
        f"{', '.join(f'`{alias}`' for alias in one.aliases)} |"
        for one in FORMATS
    ]
    assert [line for line in PAGE.splitlines() if line.startswith("| `")] == rows


def test_the_page_names_the_figures_of_the_code() -> None:
    assert f"first {sniff.HEAD_BYTES // 1024} KiB" in PAGE
    assert f"last\n  {office.TAIL_BYTES // 1024} KiB" in PAGE

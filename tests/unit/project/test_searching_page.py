"""docs/searching.md tells of every field with its operators, and of no other."""

import re
from pathlib import Path

from services.catalog.filters.fields import FIELDS

PAGE = Path(__file__).parents[3] / "docs/searching.md"
ROW = re.compile(r"^\| (`.*?) \| (.*?) \| (`.*?) \|$", re.MULTILINE)


def names(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`([^`]+)`", cell))


def test_the_page_has_every_field_with_its_operators_and_choices() -> None:
    fields = PAGE.read_text().split("## Fields", 1)[1]
    told = {name: (names(row[1]), names(row[2])) for row in ROW.findall(fields) for name in names(row[0])}
    assert told.keys() == FIELDS.keys()
    for name, field in FIELDS.items():
        assert told[name][1] == field.operators, name
        if field.choices:
            assert told[name][0] == field.choices, name

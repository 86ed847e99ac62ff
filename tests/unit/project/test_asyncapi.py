"""The document of the events that is kept for other back ends is that of this tree."""

from importlib.metadata import version
from pathlib import Path

import msgspec

from shared.events import asyncapi

KEPT = Path(__file__).parents[3] / "docs" / "asyncapi.json"


def test_the_kept_document_of_the_events_is_current() -> None:
    made = msgspec.json.decode(msgspec.json.encode(asyncapi.document(version("tripod"))))
    assert msgspec.json.decode(KEPT.read_bytes()) == made, "run `make asyncapi`"

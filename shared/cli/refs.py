"""How a media is named on a command line: its UUID or its `MED-...`."""

from shared.errors import Invalid
from shared.ids import parse_ref


def media_path(ref: str) -> str:
    """The path of its address. Raises Invalid for what is neither: the server would take a number as another API's."""
    media_id = parse_ref(ref)
    if media_id is None:
        raise Invalid(f"A media is named by its UUID or its MED-... id; {ref[:80]!r} is neither.")
    return f"/v1/media/{media_id}"

"""The limits of an upload's request, apart from what the profiles say; sizes in bytes, times in seconds."""

from shared.errors import TripodError

FORM_PARTS = 100
FORM_FIELD_BYTES = 64 * 1024
FORM_FIELDS_BYTES = 256 * 1024  # all fields together
PART_HEADER_BYTES = (
    16 * 1024
)  # one header line of a part, where the file name is: 10 kB of it are kept in short
PART_HEADERS = 8
_USUAL_HEADER_BYTES = 5 * 1024  # all headers of a part together, but for one long name
PREAMBLE_BYTES = 40 * 1024  # the first part must begin within these, its headers included
FORM_OVERHEAD_BYTES = FORM_FIELDS_BYTES + FORM_PARTS * _USUAL_HEADER_BYTES + PART_HEADER_BYTES

RETRY_SECONDS = 2  # what a 503 of ours tells clients to wait


class ClientGone(TripodError):
    """The client went away in the middle; nobody reads this answer."""

    status = 400
    code = "client_gone"
    title = "Connection lost"


def bytes_text(size: int) -> str:
    """A size for a person, exact where it is a limit: `104857600 bytes (100 MiB)`."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit:
            return f"{size} bytes ({size / unit:.4g} {name})"
    return f"{size} bytes"

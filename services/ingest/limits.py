"""The limits of an upload's request, apart from what the profiles say; sizes in bytes, times in seconds."""

from shared.errors import TripodError

FORM_PARTS = 100
FORM_FIELD_BYTES = 64 * 1024
FORM_FIELDS_BYTES = 256 * 1024  # all fields together
PART_HEADER_BYTES = 16 * 1024  # one header line of a part, where the file name is
PART_HEADERS = 8
PREAMBLE_BYTES = 40 * 1024  # the first part must begin within these, its headers included
FORM_OVERHEAD_BYTES = FORM_FIELDS_BYTES + 512 * 1024  # what is not file: fields, headers of parts, boundaries

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

"""How a file travels: as the body, or in a form where what is said of it is too long for an address."""

import secrets
from urllib.parse import quote, urlencode

import msgspec

from shared.names import display_name

ADDRESS_BYTES = 6 * 1024
"""Proxies refuse addresses from 8 KiB on."""
Options = tuple[tuple[str, str], ...]


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """A request around the bytes of a file."""

    method: str
    path: str
    query: Options
    content_type: str
    before: bytes = b""
    after: bytes = b""


def parcel_of(filename: str, options: Options) -> Parcel:
    """As the body where that is possible: then all is known before the first byte. In a form the fields go first."""
    name = display_name(filename)
    if len(urlencode(options)) <= ADDRESS_BYTES:
        return Parcel(
            method="PUT",
            path=f"/v1/uploads/raw/{quote(name, safe='')}",
            query=options,
            content_type="application/octet-stream",
        )
    boundary = f"tripod-{secrets.token_hex(16)}"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
        for field, value in options
    ]
    named = f"filename*=UTF-8''{quote(name, safe='')}"  # beside a plain one the server would take that
    file = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; {named}\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return Parcel(
        method="POST",
        path="/v1/uploads",
        query=(),
        content_type=f"multipart/form-data; boundary={boundary}",
        before="".join([*parts, file]).encode(),
        after=f"\r\n--{boundary}--\r\n".encode(),
    )

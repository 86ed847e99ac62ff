"""What a request's headers may not say together: whatever two parties on the way could read differently."""

from collections.abc import Sequence

from shared.errors import Malformed

_ONCE = {
    b"authorization",
    b"content-encoding",
    b"content-range",
    b"content-type",
    b"host",
    b"idempotency-key",
    b"if-range",
    b"range",
}


def fault(
    headers: Sequence[tuple[bytes, bytes]], *, method: bytes, version: str, upgrades: bool
) -> Malformed | None:
    """Why the request cannot be taken; None for a sound one. Names are in small letters.

    Two lengths, or a length and chunks, are refused by the parser already.
    """
    seen: set[bytes] = set()
    coding, sized = b"", False
    for name, value in headers:
        if name in _ONCE and name in seen:
            return Malformed(f"The header {name.decode()!r} is given more than once; once is allowed.")
        seen.add(name)
        if name == b"transfer-encoding":
            coding = value.strip().lower()
        sized = sized or (name == b"content-length" and value.strip() != b"0")
    if coding and (coding != b"chunked" or version == "1.0"):
        return Malformed(
            f"The Transfer-Encoding is {coding[:80].decode('latin-1')!r} in HTTP/{version}; allowed is 'chunked' in "
            "HTTP/1.1."
        )
    if version == "1.1" and b"host" not in seen:
        return Malformed("The request has no Host header; HTTP/1.1 needs it.")
    if upgrades and (method != b"GET" or coding or sized):
        # The parser takes what follows such a head for another protocol: the body would be lost.
        return Malformed("A request with a body cannot be upgraded; leave the Upgrade header out.")
    return None

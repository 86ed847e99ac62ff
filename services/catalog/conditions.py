"""Conditional requests (RFC 9110, 13): pure functions of headers and of what is there."""

import hashlib
import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

import msgspec

from services.catalog.multirange import Span, spans
from shared.errors import PreconditionFailed
from shared.media import Media

_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


def etag_of(media: Media) -> str:
    """A strong tag of everything that the media object shows."""
    return quoted(hashlib.sha256(msgspec.json.encode(media)).hexdigest()[:32])


def quoted(value: str) -> str:
    return f'"{value}"'


def matches(header: str, etag: str) -> bool:
    """Whether If-Match names this strong tag; weak ones never do."""
    return header.strip() == "*" or etag in _ETAG.findall(header)


def none_match(header: str, etag: str) -> bool:
    """Whether If-None-Match fails, by weak comparison: what the client has is still good."""
    return header.strip() == "*" or etag in (tag.removeprefix("W/") for tag in _ETAG.findall(header))


def http_date(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC).replace(microsecond=0), usegmt=True)


def parse_date(header: str) -> datetime | None:
    """None for what is no date: such a condition is ignored."""
    try:
        found = parsedate_to_datetime(header)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """The conditional headers of one GET or HEAD."""

    if_match: str | None = None
    if_unmodified_since: str | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None
    if_range: str | None = None
    range: str | None = None

    def require(self, etag: str, modified: datetime) -> None:
        """Raises PreconditionFailed where the client expects another file. If-Match decides alone where it is given."""
        if self.if_match is not None:
            if not matches(self.if_match, etag):
                raise PreconditionFailed(f"The file's ETag is {etag}, If-Match says {self.if_match[:200]}.")
            return
        since = parse_date(self.if_unmodified_since) if self.if_unmodified_since else None
        if since is not None and modified.replace(microsecond=0) > since:
            raise PreconditionFailed(
                f"The file was last modified at {http_date(modified)}, after what If-Unmodified-Since says."
            )

    def not_modified(self, etag: str, modified: datetime) -> bool:
        """Whether the answer is 304. If-None-Match decides alone where it is given."""
        if self.if_none_match is not None:
            return none_match(self.if_none_match, etag)
        since = parse_date(self.if_modified_since) if self.if_modified_since else None
        return since is not None and modified.replace(microsecond=0) <= since

    def parts(self, size: int, etag: str, modified: datetime) -> list[Span] | None:
        """What is asked for of the file, see `multirange.spans`; None: answer with the whole.

        Raises RangeNotSatisfiable.
        """
        if self.range is None or not self._range_applies(etag, modified):
            return None
        return spans(self.range, size)

    def _range_applies(self, etag: str, modified: datetime) -> bool:
        if self.if_range is None:
            return True
        if self.if_range.startswith(('"', "W/")):
            return self.if_range == etag
        return parse_date(self.if_range) == modified.replace(microsecond=0)

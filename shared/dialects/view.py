"""What a dialect shapes its answers from: the media object, and what our own API does not show of it."""

from datetime import UTC, datetime

import msgspec

from shared.events.messages import MediaUploaded
from shared.media import Media, Variant, from_upload


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A media as the catalog, or the ingest that has just taken it, knows it. `key`: where the original lies.
    `imported_as`: its public id in the older system that it came from, where ours differs."""

    media: Media
    key: str
    owner_uid: int | None = None
    owner_name: str | None = None
    imported_as: str | None = None

    @property
    def stored_name(self) -> str:
        """The file name under which the original lies in the store."""
        return self.key.rsplit("/", 1)[-1]

    def variant(self, name: str) -> Variant | None:
        """None while it is not made, or where the recipe has none of this name."""
        return next((made for made in self.media.variants if made.name == name), None)


def to_second(moment: datetime) -> datetime:
    """A time as the older systems print it: in UTC, without fractions of a second."""
    return moment.astimezone(UTC).replace(microsecond=0)


def of_upload(event: MediaUploaded, base_url: str, media: Media | None = None) -> View:
    """What ingest can show of an upload; `media` is what the catalog has told of it since."""
    return View(
        media=media or from_upload(event, base_url),
        key=event.key,
        owner_uid=event.owner_uid,
        owner_name=event.owner_name,
        imported_as=event.imported.public_id if event.imported else None,
    )

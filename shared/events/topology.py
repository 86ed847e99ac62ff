"""The one table of the broker: every stream, consumer and bucket, with no JetStream default left unsaid."""

from datetime import timedelta

import msgspec

MEBIBYTE = 1024 * 1024
GIBIBYTE = 1024 * MEBIBYTE
HEADER_BYTES = 4096


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """A stored log of subjects: file storage, limits retention, new messages refused when it is full."""

    name: str
    subjects: tuple[str, ...]
    max_bytes: int
    max_message_bytes: int = 64 * 1024  # the wire contract: an event is at most this long
    max_age: timedelta = timedelta(0)  # 0: for ever; a rebuild replays the whole history
    duplicate_window: timedelta = timedelta(minutes=2)
    replicas: int = 1

    @property
    def max_stored_bytes(self) -> int:
        """The broker counts headers, too: the message id, a reply inbox, the broker's own."""
        return self.max_message_bytes + HEADER_BYTES


class Durable(msgspec.Struct, frozen=True, kw_only=True):
    """A named consumer of one stream.

    `attempts` is how often a handler may fail on one message before it goes to the dead letters; the broker's
    own `max_deliver` lies above it, so that the loop, not the broker, decides.
    """

    name: str
    stream: str
    subjects: tuple[str, ...]
    ack_wait: timedelta
    max_ack_pending: int
    attempts: int = 5
    backoff: tuple[float, ...] = (1, 5, 30, 120)  # seconds before attempt 2, 3, ...; the last one repeats

    @property
    def vain(self) -> int:
        """How often a message may have been handed out without a word of how that ended before it is given up.

        More than `attempts`: a broker that was away hands out again what is still worked on, and the worker that
        knows so may be restarted. What is told of a death would then be that of a good message.
        """
        return self.attempts + 10

    @property
    def max_deliver(self) -> int:
        return self.attempts + 20


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """A key-value bucket on file storage that keeps only the newest value of a key. Where keys are deleted it needs a
    `ttl`, by which the marks of the deletes go, too."""

    name: str
    max_bytes: int
    ttl: timedelta = timedelta(0)  # 0: for ever
    replicas: int = 1


class Topology(msgspec.Struct, frozen=True, kw_only=True):
    """All that must exist on the broker."""

    streams: tuple[Stream, ...]
    durables: tuple[Durable, ...]
    buckets: tuple[Bucket, ...]

    def durable(self, name: str) -> Durable:
        return next(d for d in self.durables if d.name == name)

    def handed_on_after(self, most: timedelta) -> "Topology":
        """The same with every ack wait at most that long: the events of a dead worker are handed on sooner."""
        shorter = (
            msgspec.structs.replace(durable, ack_wait=min(durable.ack_wait, most))
            for durable in self.durables
        )
        return msgspec.structs.replace(self, durables=tuple(shorter))


MEDIA_TYPES = ("image", "video", "audio", "document", "other")
LANES = ("fresh", "bulk")
SLOW = "slow"
"""The lane of those images of which a worker can have one at a time only."""

MEDIA = "MEDIA"
REGISTRY = "REGISTRY"
DEAD = "DEAD"
ADVISORIES = "ADVISORIES"

COUNTERS = "counters"
INTENTS = "intents"
UPLOADS = "uploads"
IDEMPOTENCY = "idempotency"
QUOTAS = "quotas"
DIGESTS = "digests"
ENTITIES = "entities"
RENDERS = "renders"
CANCELLED = "cancelled"
IMPORTS = "imports"


def uploaded(media_type: str, lane: str) -> str:
    """The subject of an upload: `media.v1.uploaded.<type>.<fresh|bulk>`; images have `slow`, too."""
    return f"media.v1.uploaded.{media_type}.{lane}"


def media_subject(event: str, media_type: str) -> str:
    """The subject of any other media event: `media.v1.<event>.<type>`."""
    return f"media.v1.{event}.{media_type}"


def progress(media_id: str) -> str:
    """The core subject of one media's progress; never stored."""
    return f"progress.v1.{media_id}"


def cancel(media_id: str) -> str:
    """The core subject that asks every processor to stop the jobs of one media; the text is the last generation."""
    return f"cancel.v1.{media_id}"


def live(media_id: str) -> str:
    """The core subject on which the catalog's relay repeats each event of a media with its place in the stream."""
    return f"live.v1.{media_id}"


def dead_letter(durable: str) -> str:
    """Where a message goes that this consumer can never handle."""
    return f"dead.v1.{durable}"


CATALOG_HEARTBEAT = "heartbeat.v1.catalog"
CATALOG_FIND_UPLOAD = "catalog.v1.find_upload"
CATALOG_TAKE_BACK = "catalog.v1.take_back"
CATALOG_FIND_DIGEST = "catalog.v1.find_digest"
CATALOG_FIND_SIMILAR = "catalog.v1.find_similar"
CATALOG_USAGE = "catalog.v1.usage"
CATALOG_FIND_IMPORT = "catalog.v1.find_import"
INGEST_ERASE = "ingest.v1.erase"
PROCESSOR_ERASE = "processor.v1.erase"
PROCESSOR_RENDER = "processor.v1.render"
PROCESSOR_FINGERPRINT = "processor.v1.fingerprint"


_ACK_WAIT = timedelta(seconds=60)
# A worker holds all the fresh pictures that it may, so that owners can take turns: those of a dead one wait no longer
# than people do who look at a page.
_ACK_WAITS = {("image", "fresh"): timedelta(seconds=20)}


def _lane(media_type: str, lane: str, *, ack_wait: timedelta, pending: int) -> Durable:
    return Durable(
        name=f"processor-{media_type}-{lane}",
        stream=MEDIA,
        subjects=(uploaded(media_type, lane),),
        ack_wait=ack_wait,
        max_ack_pending=pending,
        attempts=3,
    )


TOPOLOGY = Topology(
    streams=(
        Stream(name=MEDIA, subjects=("media.v1.>",), max_bytes=8 * GIBIBYTE),
        Stream(name=REGISTRY, subjects=("entity.v1.>", "user.v1.>"), max_bytes=GIBIBYTE),
        # A dead letter carries the whole message and its error, so it may be longer than an event.
        Stream(name=DEAD, subjects=("dead.v1.>",), max_bytes=GIBIBYTE, max_message_bytes=256 * 1024),
        Stream(
            name=ADVISORIES,
            subjects=("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",),
            max_bytes=64 * MEBIBYTE,
            max_age=timedelta(days=30),
        ),
    ),
    durables=(
        Durable(
            name="catalog-projector",
            stream=MEDIA,
            subjects=("media.v1.uploaded.>", "media.v1.processed.>", "media.v1.failed.>"),
            ack_wait=timedelta(seconds=30),
            max_ack_pending=1000,
        ),
        Durable(
            name="catalog-registry",
            stream=REGISTRY,
            subjects=("entity.v1.>", "user.v1.>"),
            ack_wait=timedelta(seconds=30),
            max_ack_pending=100,
        ),
        Durable(
            name="ingest-eraser",
            stream=MEDIA,
            subjects=("media.v1.deleted.>",),
            ack_wait=timedelta(seconds=60),
            max_ack_pending=100,
            attempts=10,
        ),
        Durable(
            name="processor-eraser",
            stream=MEDIA,
            subjects=("media.v1.deleted.>",),
            ack_wait=timedelta(seconds=60),
            max_ack_pending=100,
            attempts=10,
        ),
        Durable(
            name="processor-reprocess",
            stream=MEDIA,
            subjects=tuple(
                media_subject("reprocess_requested", media_type)
                for media_type in MEDIA_TYPES
                if media_type not in {"video", "audio"}
            ),
            ack_wait=timedelta(seconds=60),
            max_ack_pending=16,
            attempts=3,
        ),
        # Each takes as long as a transcode does, so pictures have a lane of their own.
        *(
            Durable(
                name=f"processor-reprocess-{media_type}",
                stream=MEDIA,
                subjects=(media_subject("reprocess_requested", media_type),),
                ack_wait=timedelta(seconds=60),
                max_ack_pending=16,
                attempts=3,
            )
            for media_type in ("video", "audio")
        ),
        *(
            _lane(media_type, lane, ack_wait=_ACK_WAITS.get((media_type, lane), _ACK_WAIT), pending=64)
            for media_type in MEDIA_TYPES
            for lane in LANES
        ),
        # Few at once: each may be at work for long, and what another worker could take is not to wait here.
        _lane("image", SLOW, ack_wait=timedelta(seconds=60), pending=16),
    ),
    buckets=(
        Bucket(name=COUNTERS, max_bytes=MEBIBYTE),
        # Those under way are written anew all the time. Each upload leaves a mark that long, which every sweep reads
        # (some 100,000 in a second); what an outage of all of ingest outlives is the janitor's.
        Bucket(name=INTENTS, max_bytes=GIBIBYTE, ttl=timedelta(hours=6)),
        Bucket(name=UPLOADS, max_bytes=GIBIBYTE, ttl=timedelta(hours=24)),
        Bucket(name=IDEMPOTENCY, max_bytes=GIBIBYTE, ttl=timedelta(hours=24)),
        Bucket(name=ENTITIES, max_bytes=GIBIBYTE),
        Bucket(name=QUOTAS, max_bytes=GIBIBYTE),
        # Who was first with a file: needed while its upload is under way.
        Bucket(name=DIGESTS, max_bytes=GIBIBYTE, ttl=timedelta(hours=6)),
        # The last generation of a media whose job is not wanted any more, for those that wait in a lane.
        Bucket(name=CANCELLED, max_bytes=64 * MEBIBYTE, ttl=timedelta(days=7)),
        # Which ids of older systems are taken, for ever: some 40 bytes each.
        Bucket(name=IMPORTS, max_bytes=GIBIBYTE),
        # Who makes a rendering, while it is made.
        Bucket(name=RENDERS, max_bytes=64 * MEBIBYTE, ttl=timedelta(minutes=10)),
    ),
)

PURGER = Durable(
    name="catalog-purger",
    stream=MEDIA,
    subjects=("media.v1.updated.>", "media.v1.deleted.>"),
    ack_wait=timedelta(seconds=60),
    max_ack_pending=1000,
)
"""Only where a purge hook is set: elsewhere nobody would take what waits."""

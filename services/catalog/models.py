"""The tables. Migrations make them; a test compares both."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

_EMPTY_LIST = text("'{}'")
_EMPTY_OBJECT = text("'{}'::jsonb")
_EMPTY_JSON_LIST = text("'[]'::jsonb")
_ZERO = text("0")
_FALSE = text("false")

BAND_BITS = 16
BANDS = 4
SIMILAR = text("phash IS NOT NULL AND NOT degenerate")
"""Which rows take part in the search for similar ones; a degenerate picture (one colour) is like any other."""


FILENAME_ORDER = "lower(filename)"
TAKEN_ORDER = "COALESCE(\"left\"(taken_at, 19), '')"
DURATION_ORDER = "COALESCE(duration, '-1'::double precision)"
"""What lists are sorted by, exactly as the indexes have it: every row has a place, one without a value the first."""


def band_sql(band: int) -> str:
    """The expression of one 16-bit band of the perceptual hash, exactly as its index has it."""
    return f"((phash >> {BAND_BITS * band}) & 65535)"


media = Table(
    "media",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("number", BigInteger, nullable=False, unique=True),
    # What the upload said.
    Column("owner", Text, nullable=False),
    Column("owner_uid", BigInteger),
    Column("owner_name", Text),
    Column("owner_uuid", Uuid, nullable=False),  # computed from the owner, for APIs that know users by UUID
    Column("profile", Text, nullable=False),
    Column("recipe", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("mime_type", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("limits", JSONB(none_as_null=True)),  # what its profile asked of a picture when it was uploaded
    Column("imported_as", Text),  # its public id in the older system that it came from, where ours differs
    # What people may change.
    Column("is_public", Boolean, nullable=False),
    Column("entity_type", Text),
    Column("entity_id", Text),
    Column("entity_field", Text),
    Column("is_primary", Boolean, nullable=False, server_default=_FALSE),
    Column("sort_order", Integer, nullable=False, server_default=_ZERO),
    Column("description", Text),
    Column("alt_text", Text),
    Column("caption", Text),
    Column("tags", ARRAY(Text), nullable=False, server_default=_EMPTY_LIST),
    Column("metadata", JSONB, nullable=False, server_default=_EMPTY_OBJECT),
    Column("moderation", Text, nullable=False, server_default=text("'approved'")),
    Column("edited_at", DateTime(timezone=True)),
    # Where the pipeline stands: the greatest (generation, status, status_at) that any event told.
    Column("generation", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("status_at", DateTime(timezone=True), nullable=False),
    Column("error_code", Text),
    Column("error_detail", Text),
    Column("announced_at", DateTime(timezone=True)),
    # What the pipeline derived: all of it from the greatest (generation, time) of any `processed`.
    Column("derived_generation", Integer, nullable=False, server_default=_ZERO),
    Column("derived_at", DateTime(timezone=True)),
    Column("width", Integer),
    Column("height", Integer),
    Column("duration", Double),
    Column("bitrate", BigInteger),
    Column("exif", JSONB, nullable=False, server_default=_EMPTY_OBJECT),
    Column("taken_at", Text),  # the camera's clock, mostly without a zone: a text, not a moment
    Column("phash", BigInteger),
    Column("phash_turned", ARRAY(BigInteger)),  # those of the picture turned, in the order of `shared.turns`
    Column("dhash", BigInteger),
    Column("ahash", BigInteger),
    Column("colour_hash", Text),
    Column("colours", JSONB, nullable=False, server_default=_EMPTY_JSON_LIST),
    Column("degenerate", Boolean, nullable=False, server_default=_FALSE),
    Column("placeholder", Text),
    Column("variant_count", Integer, nullable=False, server_default=_ZERO),
    Column("variant_bytes", BigInteger, nullable=False, server_default=_ZERO),
    Column("timings", JSONB, nullable=False, server_default=_EMPTY_OBJECT),
    Column("warnings", ARRAY(Text), nullable=False, server_default=_EMPTY_LIST),
    # Computed from what was told, so that the order of the telling leaves no trace in the row.
    Column(
        "updated_at",
        DateTime(timezone=True),
        Computed("GREATEST(created_at, status_at, derived_at, edited_at)", persisted=True),
    ),
    CheckConstraint("status IN ('processing', 'ready', 'failed')", name="status"),
    CheckConstraint("moderation IN ('pending', 'approved', 'rejected', 'flagged')", name="moderation"),
    CheckConstraint("(entity_type IS NULL) = (entity_id IS NULL)", name="entity"),
    Index("ix_media_created", "created_at", "id"),
    # With the size in it what an owner uses is added up from the index alone.
    Index("ix_media_owner_created", "owner", "created_at", "id", postgresql_include=["size"]),
    Index("ix_media_public_created", "created_at", "id", postgresql_where=text("is_public")),
    Index(
        "ix_media_entity_created", "entity_type", "entity_id", "created_at", "id",
        postgresql_where=text("entity_type IS NOT NULL"),
    ),
    # For APIs that list only their own profiles, and know users by number or by UUID.
    Index("ix_media_profile_created", "profile", "created_at", "id"),
    Index("ix_media_owner_uuid_created", "owner_uuid", "created_at", "id"),
    Index("ix_media_owner_uid", "owner_uid", postgresql_where=text("owner_uid IS NOT NULL")),
    Index("ix_media_sha256", "sha256"),
    Index("ix_media_imported_as", "imported_as", postgresql_where=text("imported_as IS NOT NULL")),
    # The reconciler's: rows without a result are few, and it must not read the others.
    Index("ix_media_processing", "status_at", postgresql_where=text("status = 'processing'")),
    Index("ix_media_failed", "profile", "status_at", postgresql_where=text("status = 'failed'")),
    # The moderators': what is approved, which is most, they do not look through.
    Index("ix_media_moderation", "moderation", "created_at", "id",
          postgresql_where=text("moderation <> 'approved'")),
    # The orders of lists, and what filters of tags and metadata are found by.
    Index("ix_media_updated", "updated_at", "id"),
    Index("ix_media_size", "size", "id"),
    Index("ix_media_filename", text(FILENAME_ORDER), "id"),
    Index("ix_media_taken", text(TAKEN_ORDER), "id"),
    Index("ix_media_duration", text(DURATION_ORDER), "id"),
    Index("ix_media_tags", "tags", postgresql_using="gin"),
    Index(
        "ix_media_metadata", "metadata", postgresql_using="gin",
        postgresql_ops={"metadata": "jsonb_path_ops"},
    ),
    *(
        # With hash and id in it the index alone answers: the rows are wide, and far from each other.
        Index(
            f"ix_media_phash_{band}", text(band_sql(band)), postgresql_where=SIMILAR,
            postgresql_include=["phash", "id"],
        )
        for band in range(BANDS)
    ),
)  # fmt: skip

variants = Table(
    "variants",
    metadata,
    Column("media_id", Uuid, ForeignKey("media.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("position", SmallInteger, nullable=False),
    Column("key", Text, nullable=False),
    Column("mime_type", Text, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("spec", Text, nullable=False),
    Column("sha256", Text),  # null where the processor that made it did not tell it yet
)

media_texts = Table(
    "media_texts",
    metadata,
    Column("media_id", Uuid, ForeignKey("media.id", ondelete="CASCADE"), primary_key=True),
    Column("words", TSVECTOR, nullable=False),
    Column("document", Text),  # what the document says, as far as it was read
    Column("document_of", Text),  # from which object
    Index("ix_media_texts_words", "words", postgresql_using="gin"),
)
"""What a media is found by. `texts` makes the words: of names and notes, folded, as they are and as their stems."""

text_changes = Table("text_changes", metadata, Column("media_id", Uuid, nullable=False))
"""Media whose words are not made yet; written by triggers of `media` and `variants` alone."""


def _amounts() -> tuple[Column[int], ...]:
    return tuple(
        Column(name, BigInteger, nullable=False) for name in ("objects", "bytes", "variants", "variant_bytes")
    )


tallies = Table(
    "tallies",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("month", Date, primary_key=True),  # of the upload: its first day
    Column("profile", Text, primary_key=True),
    Column("media_type", Text, primary_key=True),
    Column("status", Text, primary_key=True),
    Column("entity_type", Text, primary_key=True),  # empty where the media hangs on nothing
    *_amounts(),
)
"""How many media there are of a kind. A trigger of `media` notes each change, and `counters` adds them up."""

entity_tallies = Table(
    "entity_tallies",
    metadata,
    Column("entity_type", Text, primary_key=True),
    Column("entity_id", Text, primary_key=True),
    Column("media_type", Text, primary_key=True),
    Column("status", Text, primary_key=True),
    *_amounts(),
)

tally_changes = Table(
    "tally_changes",
    metadata,
    *(
        Column(name, Text, nullable=False)
        for name in ("owner", "profile", "media_type", "status", "entity_type", "entity_id")
    ),
    Column("month", Date, nullable=False),
    *_amounts(),
)
"""What is not in the tallies yet; written by the trigger alone."""

downloads = Table(
    "downloads",
    metadata,
    Column("media_id", Uuid, ForeignKey("media.id", ondelete="CASCADE"), primary_key=True),
    Column("owner", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    Index("ix_downloads_owner_count", "owner", "count"),
    Index("ix_downloads_count", "count"),
)
"""How often each original was fetched. A figure: what a dying process had not written is lost."""

moderation_decisions = Table(
    "moderation_decisions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("media_id", Uuid, ForeignKey("media.id", ondelete="CASCADE"), nullable=False),
    Column("was", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),  # for the owner
    Column("note", Text),  # for moderators
    Column("reviewer", Text),  # null: the catalog by itself, because of `matched`
    Column("matched", Uuid),
    Column("distance", SmallInteger),
    Column("decided_at", DateTime(timezone=True), nullable=False),
    Column("spread_at", DateTime(timezone=True)),  # of a rejection: what is like it has been looked for
    Index("ix_moderation_decisions_media", "media_id", "decided_at"),
    Index("ix_moderation_decisions_spread", "decided_at",
          postgresql_where=text("state = 'rejected' AND spread_at IS NULL")),
)  # fmt: skip
"""What became of a media at the hands of moderators, the newest last; it goes with the media."""

moderation_claims = Table(
    "moderation_claims",
    metadata,
    Column("media_id", Uuid, ForeignKey("media.id", ondelete="CASCADE"), primary_key=True),
    Column("reviewer", Text, nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
    Index("ix_moderation_claims_reviewer", "reviewer", "until"),
)
"""Who looks at what just now; worth nothing once `until` is past."""

likenesses = Table(
    "likenesses",
    metadata,
    Column("older", Uuid, primary_key=True),  # the smaller id
    Column("newer", Uuid, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("distance", SmallInteger),  # of their perceptual hashes, where both have a telling one
    Column("same_bytes", Boolean, nullable=False),
    Index("ix_likenesses_newer", "newer"),
    Index("ix_likenesses_owner_older", "owner", "older"),
)
"""Which media of one owner are copies of each other or look alike; `linking` keeps it. It names media that are gone
until that has seen it: locks of keys would let changes wait for it, or it for them."""

unlinked = Table(
    "unlinked",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("media_id", Uuid, nullable=False),
)
"""Whom `linking` is to look at; written by the triggers of `media`."""

early_results = Table(
    "early_results",
    metadata,
    Column("media_id", Uuid, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("event", JSONB, nullable=False),  # the CloudEvents `type` and `data`
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("media_id", Uuid, primary_key=True),
    Column("deleted_at", DateTime(timezone=True), nullable=False),
    Column("sequence", BigInteger),  # of the `media.deleted` in the stream, once the relay has told it
)

stored_events = Table(
    "stored_events",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("media_id", Uuid, nullable=False),
    Index("ix_stored_events_media_id", "media_id"),
)
"""Where the broker holds events that describe a media: what must be erased there when it is deleted."""

outbox = Table(
    "outbox",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("id", Uuid, nullable=False),  # the message id, so that a repeated publish is stored once
    Column("kind", Text, nullable=False),
    Column("line", Text, nullable=False),  # what keeps its order: a media, an entity
    Column("media_id", Uuid),
    Column("subject", Text, nullable=False),  # of an event; the key of a registry entry
    Column("data", LargeBinary, nullable=False),
    Column("traceparent", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("kind IN ('event', 'registry')", name="kind"),
    Index("ix_outbox_media_id", "media_id"),
)

entities = Table(
    "entities",
    metadata,
    Column("type", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("owners", ARRAY(Text), nullable=False, server_default=_EMPTY_LIST),
    Column("admins", ARRAY(Text), nullable=False, server_default=_EMPTY_LIST),
    Column("display_id", Text),
    Column("version", BigInteger, nullable=False),
    Column("deleted", Boolean, nullable=False, server_default=_FALSE),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("told_at", DateTime(timezone=True)),  # when the newest word of it was said, by event or request
    Index("ix_entities_owners", "owners", postgresql_using="gin"),
    Index("ix_entities_admins", "admins", postgresql_using="gin"),
    Index("ix_entities_deleted", "type", "id", postgresql_where=text("deleted")),
)

departed_users = Table(
    "departed_users",
    metadata,
    Column("digest", LargeBinary, primary_key=True),  # SHA-256 of the owner's id, which is not kept
    Column("left_at", DateTime(timezone=True), nullable=False),
)
"""Uploads up to that moment that are told of later are deleted at once."""

marks = Table(
    "marks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Single values that must outlive the rows they came from: the highest number of any deleted media."""

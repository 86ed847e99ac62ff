"""The first schema: media with their variants, entities, and what keeps rows and events in step."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _media()
    _variants()
    _media_indexes()
    _media_statistics()
    _entities()
    _events()


def _media() -> None:
    op.create_table(
        "media",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("owner_uid", sa.BigInteger(), nullable=True),
        sa.Column("owner_name", sa.Text(), nullable=True),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("recipe", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("mime_type", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("entity_type", sa.Text(), nullable=True),
        sa.Column("entity_id", sa.Text(), nullable=True),
        sa.Column("entity_field", sa.Text(), nullable=True),
        sa.Column("is_primary", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("sort_order", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("alt_text", sa.Text(), nullable=True),
        sa.Column("caption", sa.Text(), nullable=True),
        sa.Column("tags", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("metadata", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("moderation", sa.Text(), server_default=sa.text("'approved'"), nullable=False),
        sa.Column("edited_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("status_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("derived_generation", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("derived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("duration", sa.Double(), nullable=True),
        sa.Column("bitrate", sa.BigInteger(), nullable=True),
        sa.Column("exif", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("taken_at", sa.Text(), nullable=True),
        sa.Column("phash", sa.BigInteger(), nullable=True),
        sa.Column("dhash", sa.BigInteger(), nullable=True),
        sa.Column("degenerate", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("placeholder", sa.Text(), nullable=True),
        sa.Column("timings", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("warnings", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            sa.Computed("GREATEST(created_at, status_at, derived_at, edited_at)", persisted=True),
            nullable=True,
        ),
        sa.CheckConstraint(
            "moderation IN ('pending', 'approved', 'rejected', 'flagged')", name=op.f("ck_media_moderation")
        ),
        sa.CheckConstraint("status IN ('processing', 'ready', 'failed')", name=op.f("ck_media_status")),
        sa.CheckConstraint("(entity_type IS NULL) = (entity_id IS NULL)", name=op.f("ck_media_entity")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_media")),
        sa.UniqueConstraint("number", name=op.f("uq_media_number")),
    )


def _variants() -> None:
    op.create_table(
        "variants",
        sa.Column("media_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("mime_type", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["media_id"], ["media.id"], name=op.f("fk_variants_media_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("media_id", "name", name=op.f("pk_variants")),
    )


def _media_indexes() -> None:
    op.create_index("ix_media_created", "media", ["created_at", "id"], unique=False)
    op.create_index(
        "ix_media_entity_created",
        "media",
        ["entity_type", "entity_id", "created_at", "id"],
        unique=False,
        postgresql_where=sa.text("entity_type IS NOT NULL"),
    )
    op.create_index("ix_media_owner_created", "media", ["owner", "created_at", "id"], unique=False)
    op.create_index(
        "ix_media_phash_0",
        "media",
        [sa.literal_column("((phash >> 0) & 65535)")],
        unique=False,
        postgresql_where=sa.text("phash IS NOT NULL AND NOT degenerate"),
    )
    op.create_index(
        "ix_media_phash_1",
        "media",
        [sa.literal_column("((phash >> 16) & 65535)")],
        unique=False,
        postgresql_where=sa.text("phash IS NOT NULL AND NOT degenerate"),
    )
    op.create_index(
        "ix_media_phash_2",
        "media",
        [sa.literal_column("((phash >> 32) & 65535)")],
        unique=False,
        postgresql_where=sa.text("phash IS NOT NULL AND NOT degenerate"),
    )
    op.create_index(
        "ix_media_phash_3",
        "media",
        [sa.literal_column("((phash >> 48) & 65535)")],
        unique=False,
        postgresql_where=sa.text("phash IS NOT NULL AND NOT degenerate"),
    )
    op.create_index(
        "ix_media_processing",
        "media",
        ["status_at"],
        unique=False,
        postgresql_where=sa.text("status = 'processing'"),
    )
    op.create_index(
        "ix_media_public_created",
        "media",
        ["created_at", "id"],
        unique=False,
        postgresql_where=sa.text("is_public"),
    )
    op.create_index("ix_media_sha256", "media", ["sha256"], unique=False)


def _media_statistics() -> None:
    # Without these the planner guesses that any band value is that of every 200th row, and scans instead: it does not
    # use what it knows of a partial index's expression.
    for band in range(4):
        op.execute(f"CREATE STATISTICS st_media_phash_{band} ON ((phash >> {16 * band}) & 65535) FROM media")


def _entities() -> None:
    op.create_table(
        "entities",
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owners", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("admins", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("display_id", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("type", "id", name=op.f("pk_entities")),
    )
    for column in ("owners", "admins"):
        op.create_index(f"ix_entities_{column}", "entities", [column], unique=False, postgresql_using="gin")
    op.create_index(
        "ix_entities_deleted", "entities", ["type", "id"], unique=False, postgresql_where=sa.text("deleted")
    )


def _events() -> None:
    op.create_table(
        "early_results",
        sa.Column("media_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("event", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("media_id", "sequence", name=op.f("pk_early_results")),
    )
    op.create_table(
        "marks",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_marks")),
    )
    op.create_table(
        "outbox",
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("media_id", sa.Uuid(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('event', 'registry')", name=op.f("ck_outbox_kind")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_outbox")),
    )
    op.create_index("ix_outbox_media_id", "outbox", ["media_id"], unique=False)
    op.create_table(
        "stored_events",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("media_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("stream", "sequence", name=op.f("pk_stored_events")),
    )
    op.create_index("ix_stored_events_media_id", "stored_events", ["media_id"], unique=False)
    op.create_table(
        "tombstones",
        sa.Column("media_id", sa.Uuid(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("media_id", name=op.f("pk_tombstones")),
    )


def downgrade() -> None:
    for table in (
        "variants",
        "media",
        "entities",
        "marks",
        "outbox",
        "tombstones",
        "stored_events",
        "early_results",
    ):
        op.drop_table(table)

"""What media are found by: words for the full text, and indexes for the orders of lists, tags and metadata.

Triggers note each media whose words are to be made, in the transaction of the change; a catalog makes them soon after.
Those that are there already are noted here, so nothing waits for them.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_TEXTS = ("filename", "caption", "alt_text", "description", "tags")
_ORDERS = {
    "ix_media_updated": "updated_at",
    "ix_media_size": "size",
    "ix_media_filename": "lower(filename)",
    "ix_media_taken": "COALESCE(\"left\"(taken_at, 19), '')",
    "ix_media_duration": "COALESCE(duration, '-1'::double precision)",
}


def upgrade() -> None:
    op.create_table(
        "media_texts",
        sa.Column("media_id", sa.Uuid(), nullable=False),
        sa.Column("words", postgresql.TSVECTOR(), nullable=False),
        sa.Column("document", sa.Text(), nullable=True),
        sa.Column("document_of", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["media_id"], ["media.id"], name=op.f("fk_media_texts_media_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("media_id", name=op.f("pk_media_texts")),
    )
    op.create_index("ix_media_texts_words", "media_texts", ["words"], unique=False, postgresql_using="gin")
    op.create_table("text_changes", sa.Column("media_id", sa.Uuid(), nullable=False))
    _triggers()
    op.execute("INSERT INTO text_changes SELECT id FROM media")
    for name, order in _ORDERS.items():
        op.create_index(name, "media", [sa.text(order), sa.text("id")], unique=False)
    op.create_index("ix_media_tags", "media", ["tags"], unique=False, postgresql_using="gin")
    op.create_index(
        "ix_media_metadata",
        "media",
        ["metadata"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"metadata": "jsonb_path_ops"},
    )


def _triggers() -> None:
    for name, row, column in (
        ("note_text_change", "NEW", "id"),
        ("note_document_made", "NEW", "media_id"),
        ("note_document_gone", "OLD", "media_id"),
    ):
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"  # noqa: S608 - names
            f" INSERT INTO text_changes VALUES ({row}.{column}); RETURN NULL; END $$"
        )
    old, new = (", ".join(f"{row}.{name}" for name in _TEXTS) for row in ("OLD", "NEW"))
    for name, on, when, what in (
        ("text_rows", "INSERT ON media", "true", "note_text_change"),
        ("text_changes", "UPDATE ON media", f"({old}) IS DISTINCT FROM ({new})", "note_text_change"),
        ("documents_made", "INSERT ON variants", "NEW.name = 'text'", "note_document_made"),
        ("documents_gone", "DELETE ON variants", "OLD.name = 'text'", "note_document_gone"),
    ):
        op.execute(f"CREATE TRIGGER {name} AFTER {on} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION {what}()")


def downgrade() -> None:
    for name in ("ix_media_metadata", "ix_media_tags", *_ORDERS):
        op.drop_index(name, table_name="media")
    for trigger, table in (
        ("text_rows", "media"),
        ("text_changes", "media"),
        ("documents_made", "variants"),
        ("documents_gone", "variants"),
    ):
        op.execute(f"DROP TRIGGER {trigger} ON {table}")
    for name in ("note_text_change", "note_document_made", "note_document_gone"):
        op.execute(f"DROP FUNCTION {name}()")
    op.drop_table("text_changes")
    op.drop_table("media_texts")

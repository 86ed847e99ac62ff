"""Decisions of moderators, with their history, and who looks at what."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# As in 0010: in a subquery a setting is read once for each statement.
_SUB = "(SELECT nullif(current_setting('tripod.sub', true), ''))"
_UID = "(SELECT nullif(current_setting('tripod.uid', true), ''))"
_OWN = (
    "EXISTS (SELECT FROM media WHERE media.id = media_id AND ("  # noqa: S608 - constants
    f"owner = {_SUB} OR (owner = {_UID} AND owner_uid = {_UID}::bigint) OR (entity_type IS NOT NULL AND EXISTS ("
    "SELECT FROM entities WHERE entities.type = media.entity_type AND entities.id = media.entity_id"
    f" AND NOT entities.deleted AND (owners @> ARRAY[{_SUB}] OR admins @> ARRAY[{_SUB}])))))"
)
POLICIES = {"moderation_decisions": _OWN, "moderation_claims": "false"}
"""Moderators are under none of them, and claims are for nobody else."""


def upgrade() -> None:
    op.create_index(
        "ix_media_moderation",
        "media",
        ["moderation", "created_at", "id"],
        postgresql_where=sa.text("moderation <> 'approved'"),
    )
    op.create_table(
        "moderation_decisions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("media_id", sa.Uuid(), nullable=False),
        sa.Column("was", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("reason", "note", "reviewer")),
        sa.Column("matched", sa.Uuid(), nullable=True),
        sa.Column("distance", sa.SmallInteger(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("spread_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["media_id"], ["media.id"], name=op.f("fk_moderation_decisions_media_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_moderation_decisions")),
    )
    op.create_index("ix_moderation_decisions_media", "moderation_decisions", ["media_id", "decided_at"])
    op.create_index(
        "ix_moderation_decisions_spread",
        "moderation_decisions",
        ["decided_at"],
        postgresql_where=sa.text("state = 'rejected' AND spread_at IS NULL"),
    )
    op.create_table(
        "moderation_claims",
        sa.Column("media_id", sa.Uuid(), nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["media_id"], ["media.id"], name=op.f("fk_moderation_claims_media_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("media_id", name=op.f("pk_moderation_claims")),
    )
    op.create_index("ix_moderation_claims_reviewer", "moderation_claims", ["reviewer", "until"])
    for table, seen in POLICIES.items():
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")
        op.execute(f"CREATE POLICY readers ON {table} FOR SELECT USING ({seen})")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_table("moderation_claims")
    op.drop_table("moderation_decisions")
    op.drop_index("ix_media_moderation", table_name="media")

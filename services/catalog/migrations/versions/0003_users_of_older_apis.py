"""Owners by UUID, and indexes for APIs that list only their own profiles and know users by number or by UUID."""

import sqlalchemy as sa
from alembic import op

from shared.dialects.users import uuid_id

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_OWNERS_AT_ONCE = 1000


def upgrade() -> None:
    op.add_column("media", sa.Column("owner_uuid", sa.Uuid(), nullable=True))
    _fill()
    op.alter_column("media", "owner_uuid", nullable=False)
    op.create_index("ix_media_profile_created", "media", ["profile", "created_at", "id"], unique=False)
    op.create_index("ix_media_owner_uuid_created", "media", ["owner_uuid", "created_at", "id"], unique=False)
    op.create_index(
        "ix_media_owner_uid",
        "media",
        ["owner_uid"],
        unique=False,
        postgresql_where=sa.text("owner_uid IS NOT NULL"),
    )


def downgrade() -> None:
    for name in ("ix_media_owner_uid", "ix_media_owner_uuid_created", "ix_media_profile_created"):
        op.drop_index(name, table_name="media")
    op.drop_column("media", "owner_uuid")


def _fill() -> None:
    """Only Python knows how a UUID is made of an owner; each owner is asked once, however many media they have."""
    connection = op.get_bind()
    owners = connection.scalars(sa.text("SELECT DISTINCT owner FROM media")).all()
    fill = sa.text(
        "UPDATE media SET owner_uuid = made.id FROM unnest(CAST(:owners AS text[]), CAST(:ids AS uuid[]))"
        " AS made (owner, id) WHERE media.owner = made.owner"
    )
    for start in range(0, len(owners), _OWNERS_AT_ONCE):
        some = owners[start : start + _OWNERS_AT_ONCE]
        connection.execute(fill, {"owners": some, "ids": [uuid_id(owner) for owner in some]})

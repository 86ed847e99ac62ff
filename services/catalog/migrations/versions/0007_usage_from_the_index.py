"""The index of an owner's media carries their sizes along: what an owner uses is added up without reading the rows."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_NAME = "ix_media_owner_created"


def upgrade() -> None:
    _replace(include=["size"])


def downgrade() -> None:
    _replace(include=[])


def _replace(*, include: list[str]) -> None:
    op.drop_index(_NAME, table_name="media")
    op.create_index(_NAME, "media", ["owner", "created_at", "id"], unique=False, postgresql_include=include)

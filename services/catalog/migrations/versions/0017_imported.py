"""The public id that a media had in the older system it was imported from, where ours cannot say the same.

A catalog without this column goes on: it leaves it empty and finds such a media by its own ids.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_INDEX = "ix_media_imported_as"


def upgrade() -> None:
    op.add_column("media", sa.Column("imported_as", sa.Text()))
    op.create_index(
        _INDEX, "media", ["imported_as"], unique=True, postgresql_where=sa.text("imported_as IS NOT NULL")
    )


def downgrade() -> None:
    op.drop_index(_INDEX, "media")
    op.drop_column("media", "imported_as")

"""Two media may have come with one public id from older systems: each keeps what its upload told, and a name means the
one with the least id.

A catalog that knows of no such media goes on as it was.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_INDEX = "ix_media_imported_as"
_WHERE = sa.text("imported_as IS NOT NULL")


def upgrade() -> None:
    op.drop_index(_INDEX, "media")
    op.create_index(_INDEX, "media", ["imported_as"], postgresql_where=_WHERE)


def downgrade() -> None:
    op.execute(
        "UPDATE media SET imported_as = NULL FROM media AS other"
        " WHERE other.imported_as = media.imported_as AND other.id < media.id"
    )
    op.drop_index(_INDEX, "media")
    op.create_index(_INDEX, "media", ["imported_as"], unique=True, postgresql_where=_WHERE)

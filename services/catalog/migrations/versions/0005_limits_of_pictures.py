"""What the profile of an upload asked of a picture, for whoever processes it again."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("media", sa.Column("limits", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("media", "limits")

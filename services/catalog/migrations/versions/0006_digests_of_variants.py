"""The digest of each variant, so that bytes that have changed in the store can be told from those that were made."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("variants", sa.Column("sha256", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("variants", "sha256")

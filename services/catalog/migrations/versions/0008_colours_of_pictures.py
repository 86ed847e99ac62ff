"""Two more fingerprints of a picture, and the colours that make up most of it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("media", sa.Column("ahash", sa.BigInteger(), nullable=True))
    op.add_column("media", sa.Column("colour_hash", sa.Text(), nullable=True))
    op.add_column(
        "media", sa.Column("colours", JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False)
    )


def downgrade() -> None:
    op.drop_column("media", "colours")
    op.drop_column("media", "colour_hash")
    op.drop_column("media", "ahash")

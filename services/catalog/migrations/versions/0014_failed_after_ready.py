"""What was derived once does not fail any more: media that failed when they were processed again are ready as before,
and keep the error. The catalog before this one does as it did with them."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE media SET status = 'ready' WHERE status = 'failed' AND derived_generation > 0")


def downgrade() -> None:
    op.execute("UPDATE media SET status = 'failed' WHERE status = 'ready' AND error_code IS NOT NULL")

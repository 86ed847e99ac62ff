"""When an entity was told of last by its own system, and which users have left: late events change nothing back.

Of a user who has left only a digest of the id stays, for uploads that are told of later on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("entities", sa.Column("told_at", sa.DateTime(timezone=True)))
    op.create_table(
        "departed_users",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_departed_users")),
    )


def downgrade() -> None:
    op.drop_table("departed_users")
    op.drop_column("entities", "told_at")

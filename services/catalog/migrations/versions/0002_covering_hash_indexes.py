"""Bands of the perceptual hash carry hash and id along: the search for similar pictures never reads the rows."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BANDS = range(4)


def upgrade() -> None:
    for band in _BANDS:
        _replace(band, include=["phash", "id"])


def downgrade() -> None:
    for band in _BANDS:
        _replace(band, include=[])


def _replace(band: int, *, include: list[str]) -> None:
    name = f"ix_media_phash_{band}"
    op.drop_index(name, table_name="media")
    op.create_index(
        name,
        "media",
        [sa.literal_column(f"((phash >> {16 * band}) & 65535)")],
        unique=False,
        postgresql_where=sa.text("phash IS NOT NULL AND NOT degenerate"),
        postgresql_include=include,
    )

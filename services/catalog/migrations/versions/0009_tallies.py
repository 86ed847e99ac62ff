"""Counters that are kept with the rows they count: what an owner has, by what it is, at any size of the table.

A trigger notes each change of a row in `tally_changes`, in the transaction of the change; nobody waits for anybody, as
with a counter that all update. Now and then the changes are added up into `tallies` and `entity_tallies`.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_KINDS = ("owner", "profile", "media_type", "status", "entity_type", "entity_id", "month")
_AMOUNTS = ("objects", "bytes", "variants", "variant_bytes")
_COUNTED = ("owner", "profile", "media_type", "status", "entity_type", "entity_id", "created_at", "size",
            "variant_count", "variant_bytes")  # fmt: skip


def upgrade() -> None:
    for name, type_ in (("variant_count", sa.Integer()), ("variant_bytes", sa.BigInteger())):
        op.add_column("media", sa.Column(name, type_, server_default=sa.text("0"), nullable=False))
    op.execute(
        "UPDATE media SET variant_count = made.many, variant_bytes = made.bytes FROM (SELECT media_id,"
        " count(*) AS many, sum(size) AS bytes FROM variants GROUP BY media_id) AS made WHERE made.media_id = media.id"
    )
    _tables()
    _trigger()
    _fill()


def _tables() -> None:
    op.create_table(
        "tallies",
        *(sa.Column(name, sa.Text(), nullable=False) for name in _KINDS[:5]),
        sa.Column("month", sa.Date(), nullable=False),
        *_amounts(),
        sa.PrimaryKeyConstraint(
            "owner", "month", "profile", "media_type", "status", "entity_type", name=op.f("pk_tallies")
        ),
    )
    op.create_table(
        "entity_tallies",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("entity_type", "entity_id", "media_type")),
        sa.Column("status", sa.Text(), nullable=False),
        *_amounts(),
        sa.PrimaryKeyConstraint(
            "entity_type", "entity_id", "media_type", "status", name=op.f("pk_entity_tallies")
        ),
    )
    op.create_table(
        "tally_changes",
        *(sa.Column(name, sa.Text(), nullable=False) for name in _KINDS[:6]),
        sa.Column("month", sa.Date(), nullable=False),
        *_amounts(),
    )

    op.create_table(
        "downloads",
        sa.Column("media_id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["media_id"], ["media.id"], name=op.f("fk_downloads_media_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("media_id", name=op.f("pk_downloads")),
    )
    op.create_index("ix_downloads_owner_count", "downloads", ["owner", "count"], unique=False)
    op.create_index("ix_downloads_count", "downloads", ["count"], unique=False)


def _amounts() -> tuple[sa.Column[int], ...]:
    return tuple(sa.Column(name, sa.BigInteger(), nullable=False) for name in _AMOUNTS)


def _note(row: str, sign: str) -> str:
    into = f"INSERT INTO tally_changes ({', '.join((*_KINDS, *_AMOUNTS))})"
    return (
        f"{into} VALUES ({row}.owner, {row}.profile,"
        f" {row}.media_type, {row}.status, coalesce({row}.entity_type, ''), coalesce({row}.entity_id, ''),"
        f" date_trunc('month', {row}.created_at AT TIME ZONE 'UTC')::date, {sign}1, {sign}{row}.size,"
        f" {sign}{row}.variant_count, {sign}{row}.variant_bytes);"
    )


def _trigger() -> None:
    op.execute(
        "CREATE FUNCTION note_tally_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF TG_OP <> 'INSERT' THEN {_note('OLD', '-')} END IF;"
        f" IF TG_OP <> 'DELETE' THEN {_note('NEW', '')} END IF;"
        " RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER tally_rows AFTER INSERT OR DELETE ON media FOR EACH ROW EXECUTE FUNCTION note_tally_change()"
    )
    old, new = (", ".join(f"{row}.{name}" for name in _COUNTED) for row in ("OLD", "NEW"))
    op.execute(
        f"CREATE TRIGGER tally_changes AFTER UPDATE ON media FOR EACH ROW WHEN (({old}) IS DISTINCT FROM ({new}))"
        " EXECUTE FUNCTION note_tally_change()"
    )


def _fill() -> None:
    op.execute(
        "INSERT INTO tallies SELECT owner, profile, media_type, status, coalesce(entity_type, ''),"
        " date_trunc('month', created_at AT TIME ZONE 'UTC')::date, count(*), sum(size), sum(variant_count),"
        " sum(variant_bytes) FROM media GROUP BY 1, 2, 3, 4, 5, 6"
    )
    op.execute(
        "INSERT INTO entity_tallies SELECT entity_type, entity_id, media_type, status, count(*), sum(size),"
        " sum(variant_count), sum(variant_bytes) FROM media WHERE entity_type IS NOT NULL GROUP BY 1, 2, 3, 4"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER tally_rows ON media")
    op.execute("DROP TRIGGER tally_changes ON media")
    op.execute("DROP FUNCTION note_tally_change()")
    for table in ("downloads", "tally_changes", "entity_tallies", "tallies"):
        op.drop_table(table)
    op.drop_column("media", "variant_bytes")
    op.drop_column("media", "variant_count")

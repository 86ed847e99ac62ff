"""Pictures that look alike: a search whose plan is kept, the hashes of turned pictures, and who is like whom.

The search is a function, because the database keeps the plan of a function's statement as long as a connection lives;
planning the same statement anew took three times as long as running it. What media of one owner have in common is kept
in `likenesses`. Triggers only note in `unlinked` whom to look at again, so no change waits for that.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_BITS, _BANDS = 16, 4
_ONES = 2**_BITS - 1
_MOST = 11  # within 3 * 4 - 1 bits one band differs in at most two
_WHOLE, _REST = f"most / {_BANDS}", f"most % {_BANDS}"
_LIKENESS = ("owner", "sha256", "phash", "degenerate")


def upgrade() -> None:
    op.add_column("media", sa.Column("phash_turned", sa.ARRAY(sa.BigInteger()), nullable=True))
    op.execute(_function())
    op.create_table(
        "likenesses",
        sa.Column("older", sa.Uuid(), nullable=False),
        sa.Column("newer", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("distance", sa.SmallInteger(), nullable=True),
        sa.Column("same_bytes", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("older", "newer", name=op.f("pk_likenesses")),
    )
    op.create_index("ix_likenesses_newer", "likenesses", ["newer"])
    op.create_index("ix_likenesses_owner_older", "likenesses", ["owner", "older"])
    op.create_table(
        "unlinked",
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("media_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_unlinked")),
    )
    _triggers()
    op.execute("INSERT INTO unlinked (media_id) SELECT id FROM media ORDER BY id")


def _function() -> str:
    """`neighbours` of services.catalog.hashes, and the measuring of what they find, in one statement."""
    bits = "bit_count((media.phash # wanted)::bit(64))::integer"
    telling = f"media.phash IS NOT NULL AND NOT media.degenerate AND {bits} <= most"
    bands, ways = "", []
    for band in range(_BANDS):
        masks = f"CASE WHEN {band} <= {_REST} THEN wider ELSE narrower END"
        own = f"wanted >> {_BITS * band} & {_ONES}"
        bands += f"  band_{band} := ARRAY(SELECT ({own}) # mask FROM unnest({masks}) AS mask);\n"  # noqa: S608 - constants
        kept = f"((media.phash >> {_BITS * band}) & {_ONES})"  # as the index has it
        ways.append(f"SELECT media.id, {bits} FROM media WHERE {kept} = ANY(band_{band}) AND {telling}")  # noqa: S608
    declared = "".join(f" band_{band} bigint[];" for band in range(_BANDS))
    return (
        "CREATE FUNCTION media_near(wanted bigint, most integer) RETURNS TABLE (id uuid, distance integer)\n"
        "LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER ROWS 50\n"
        "SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$\n"
        f"DECLARE{declared} wider bigint[]; narrower bigint[];\nBEGIN\n"
        f"  IF most NOT BETWEEN 0 AND {_MOST} THEN RAISE 'within 0 to {_MOST} bits, not %', most; END IF;\n"
        f"  wider := {_masks(_WHOLE)};\n  narrower := {_masks(f'{_WHOLE} - 1')};\n{bands}"
        f"  RETURN QUERY {' UNION '.join(ways)};\nEND $$"
    )


def _masks(count: str) -> str:
    """All masks of a band with so many bits at most."""
    known = (
        [mask for mask in range(2**_BITS) if mask.bit_count() <= most]
        for most in range(-1, _MOST // _BANDS + 1)
    )
    cases = " ".join(
        f"WHEN {most} THEN '{{{','.join(map(str, masks))}}}'::bigint[]"
        for most, masks in enumerate(known, start=-1)
    )
    return f"CASE {count} {cases} END"


def _triggers() -> None:
    op.execute(
        "CREATE FUNCTION note_unlinked() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO unlinked (media_id) VALUES (CASE TG_OP WHEN 'DELETE' THEN OLD.id ELSE NEW.id END);"
        " RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER unlinked_rows AFTER INSERT OR DELETE ON media FOR EACH ROW EXECUTE FUNCTION note_unlinked()"
    )
    old, new = (", ".join(f"{row}.{name}" for name in _LIKENESS) for row in ("OLD", "NEW"))
    op.execute(
        f"CREATE TRIGGER unlinked_changes AFTER UPDATE ON media FOR EACH ROW WHEN (({old}) IS DISTINCT FROM ({new}))"
        " EXECUTE FUNCTION note_unlinked()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER unlinked_changes ON media")
    op.execute("DROP TRIGGER unlinked_rows ON media")
    op.execute("DROP FUNCTION note_unlinked()")
    op.drop_table("unlinked")
    op.drop_table("likenesses")
    op.execute("DROP FUNCTION media_near(bigint, integer)")
    op.drop_column("media", "phash_turned")

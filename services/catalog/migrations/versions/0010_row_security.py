"""Row-level security: what rows the readers' role gets, told by the database itself.

The settings `tripod.*` of a transaction say who reads. The policies hold for everybody but those who bypass them, so
they need no role yet; `services.catalog.row_security` makes it. Whoever migrates owns the tables, and still sees all.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_SUB, _UID, _LINK = (f"current_setting('tripod.{name}', true)" for name in ("sub", "uid", "link"))


def _governed(table: str) -> str:
    """Under the policy of entities."""
    return (
        f"EXISTS (SELECT FROM entities WHERE entities.type = {table}.entity_type"
        f" AND entities.id = {table}.entity_id)"
    )


_OF_MEDIA = "EXISTS (SELECT FROM media WHERE media.id = media_id)"  # under the policy of media
POLICIES = {
    "media": (
        f"(is_public AND moderation = 'approved') OR owner = {_SUB}"
        f" OR (owner = {_UID} AND owner_uid::text = owner) OR (id::text = {_LINK} AND moderation = 'approved')"
        f" OR (entity_type IS NOT NULL AND {_governed('media')})"
    ),
    "variants": _OF_MEDIA,
    "downloads": _OF_MEDIA,
    "entities": f"NOT deleted AND (owners @> ARRAY[{_SUB}] OR admins @> ARRAY[{_SUB}])",
    "tallies": f"owner = {_SUB}",
    "entity_tallies": _governed("entity_tallies"),
    "tally_changes": f"owner = {_SUB} OR {_governed('tally_changes')}",
}


def upgrade() -> None:
    for table, seen in POLICIES.items():
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")
        op.execute(f"CREATE POLICY readers ON {table} FOR SELECT USING ({seen})")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    for table in POLICIES:
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY")
        op.execute(f"DROP POLICY readers ON {table}")
        op.execute(f"DROP POLICY owner ON {table}")

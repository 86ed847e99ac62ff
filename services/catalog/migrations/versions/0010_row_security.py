"""Row-level security: what rows the readers' role gets, told by the database itself.

The settings `tripod.*` of a transaction say who reads. The policies hold for everybody but those who bypass them, so
they need no role yet; `services.catalog.row_security` makes it. Whoever migrates owns the tables, and still sees all.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# In a subquery a setting is read once for each statement, not for each row.
_SUB = "(SELECT nullif(current_setting('tripod.sub', true), ''))"
_UID = "(SELECT nullif(current_setting('tripod.uid', true), ''))"
_LINK = "(SELECT nullif(current_setting('tripod.link', true), '')::uuid)"
_ALL = "(SELECT current_setting('tripod.sees_all', true) = 'yes')"
_IN_CHARGE = f"(owners @> ARRAY[{_SUB}] OR admins @> ARRAY[{_SUB}])"


def _governed(table: str) -> str:
    return (
        f"EXISTS (SELECT FROM entities WHERE entities.type = {table}.entity_type"
        f" AND entities.id = {table}.entity_id AND NOT entities.deleted AND {_IN_CHARGE})"
    )


_OF_MEDIA = "EXISTS (SELECT FROM media WHERE media.id = media_id)"  # under the policy of media
POLICIES = {
    "media": (
        f"{_ALL} OR (is_public AND moderation = 'approved') OR owner = {_SUB}"
        f" OR (owner = {_UID} AND owner_uid = {_UID}::bigint) OR id = {_LINK}"
        f" OR (entity_type IS NOT NULL AND {_governed('media')})"
    ),
    "variants": f"{_ALL} OR {_OF_MEDIA}",
    "downloads": f"{_ALL} OR {_OF_MEDIA}",
    "entities": f"{_ALL} OR (NOT deleted AND {_IN_CHARGE})",
    "tallies": f"{_ALL} OR owner = {_SUB}",
    "entity_tallies": f"{_ALL} OR {_governed('entity_tallies')}",
    "tally_changes": f"{_ALL} OR owner = {_SUB} OR {_governed('tally_changes')}",
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

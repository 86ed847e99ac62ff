"""A change of a title, artist or album that a file tells of itself notes its media for the full text, as captions do.

Titles that are there already are noted by the catalog that knows of them, when it starts.
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_TEXTS = ("filename", "caption", "alt_text", "description", "tags")
_TOLD = ("exif->'title'", "exif->'artist'", "exif->'album'")


def upgrade() -> None:
    _note_changes_of((*_TEXTS, *_TOLD))


def downgrade() -> None:
    _note_changes_of(_TEXTS)


def _note_changes_of(values: tuple[str, ...]) -> None:
    old, new = (", ".join(f"{row}.{value}" for value in values) for row in ("OLD", "NEW"))
    op.execute("DROP TRIGGER text_changes ON media")
    op.execute(
        "CREATE TRIGGER text_changes AFTER UPDATE ON media FOR EACH ROW"
        f" WHEN (({old}) IS DISTINCT FROM ({new})) EXECUTE FUNCTION note_text_change()"
    )

"""One file of the library by its number, for whoever may read it."""

from services.catalog.database import Database
from services.catalog.dialects import finding
from services.catalog.queries import Filters
from services.catalog.settings import CatalogSettings
from shared.auth import Caller
from shared.dialects import library
from shared.dialects.library import PROFILE
from shared.dialects.view import View
from shared.dialects.whole import whole


async def find(database: Database, caller: Caller, settings: CatalogSettings, media_id: str) -> View:
    """Raises NotFound."""
    return await finding.find(
        database,
        caller,
        Filters(profiles=(PROFILE,)),
        number=whole(media_id),
        absent=library.absent(media_id),
        base_url=settings.http.base_url,
    )

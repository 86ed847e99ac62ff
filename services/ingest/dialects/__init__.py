"""The upload routes of five older systems, one thin module each, over the same functions that our own routes use.

A dialect is a module with a `ROUTER`. It says how its form is read (`Reading`), what its answer looks like and how
long it waits for it (`Answering`), and words refusals as its clients know them; `requests.upload_form` does the rest.
"""

from litestar import Router

from services.ingest.dialects import content, entities, library, mediafiles, personas
from shared.dialects.settings import DialectSettings, Name

_ROUTERS: dict[Name, Router] = {
    "entities": entities.ROUTER,
    "library": library.ROUTER,
    "mediafiles": mediafiles.ROUTER,
    "personas": personas.ROUTER,
    "content": content.ROUTER,
}


def mounted(settings: DialectSettings) -> list[Router]:
    """The routes of the dialects that are enabled."""
    return [router for name, router in _ROUTERS.items() if name in settings.enabled]

"""The upload routes of five older systems, one thin module each, over the same functions that our own routes use.

A dialect is a module with a `ROUTER`; that of entities is made of the profiles' slots. It says how its form is read
(`Reading`), what its answer looks like and how long it waits for it (`Answering`), and words refusals as its clients
know them; `requests.upload_form` does the rest.
"""

from litestar import Router

from services.ingest.dialects import content, entities, library, mediafiles, personas
from shared.dialects.settings import DialectSettings, Name
from shared.profiles import Profiles

_ROUTERS: dict[Name, Router] = {
    "library": library.ROUTER,
    "mediafiles": mediafiles.ROUTER,
    "personas": personas.ROUTER,
    "content": content.ROUTER,
}


def mounted(settings: DialectSettings, profiles: Profiles) -> list[Router]:
    """The routes of the dialects that are enabled."""
    routers = {"entities": entities.router(profiles), **_ROUTERS}
    return [router for name, router in routers.items() if name in settings.enabled]

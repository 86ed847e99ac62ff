"""As whom a request to the library is answered: by its token, or without one as far as the setting allows."""

from collections.abc import Mapping

from litestar.di import NamedDependency, Provide

from services.catalog.settings import CatalogSettings
from shared.auth import Caller
from shared.dialects import library


def _reader(optional_caller: NamedDependency[Caller], settings: NamedDependency[CatalogSettings]) -> Caller:
    return library.reading(optional_caller, settings.dialects.anonymous)


def _writer(optional_caller: NamedDependency[Caller], settings: NamedDependency[CatalogSettings]) -> Caller:
    return library.writing(optional_caller, settings.dialects.anonymous)


CALLERS: Mapping[str, Provide] = {
    "reader": Provide(_reader, sync_to_thread=False),
    "writer": Provide(_writer, sync_to_thread=False),
}
"""By these names a handler gets whoever asks to read, or to change something; 401 where that needs a token."""

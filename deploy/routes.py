"""The route table: which service owns which method and path of the one origin. First match wins.

The origin of `make run` dispatches by it, and the map of an nginx edge is made from it.
"""

import re
from typing import Literal, TypeAlias

import msgspec

Service: TypeAlias = Literal["ingest", "catalog"]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """`{name}` in a path stands for one segment, `{name...}` at its end for any rest. No methods means all.

    A trailing slash makes no difference here; the service decides whether it knows both forms.
    """

    service: Service
    path: str
    methods: tuple[str, ...] = ()

    @property
    def pattern(self) -> str:
        """A regular expression over the decoded path, as Python and nginx both read it."""
        expression = ""
        for segment in self.path.strip("/").split("/"):
            if re.fullmatch(r"\{\w+\.\.\.\}", segment):
                expression += "/(?s:.+)"  # a name with a line break has an owner too, who refuses it
            elif re.fullmatch(r"\{\w+\}", segment):
                expression += "/[^/]+"
            else:
                expression += "/" + re.escape(segment)
        return f"^{expression}/?$"

    @property
    def request_pattern(self) -> str:
        """A regular expression over `METHOD:path`."""
        methods = "|".join(sorted({*self.methods, *(("HEAD",) if "GET" in self.methods else ())}))
        return f"^(?:{methods}):{self.pattern[1:]}" if methods else f"^[A-Z]+:{self.pattern[1:]}"


ROUTES: tuple[Route, ...] = (
    Route(service="ingest", path="/v1/uploads"),
    Route(service="ingest", path="/v1/uploads/{rest...}"),
    Route(service="ingest", path="/v1/media/similar", methods=("POST",)),
    Route(service="ingest", path="/v1/media/upload", methods=("POST",)),
    Route(service="ingest", path="/v1/media/batch/upload", methods=("POST",)),
    # The slots of profiles, an operator's own among them; the catalog has no POST as deep as these.
    Route(service="ingest", path="/v1/media/{entities}/{id}/{slot}", methods=("POST",)),
    Route(service="ingest", path="/v1/media/{wholes}/{within}/{entities}/{id}/{slot}", methods=("POST",)),
    Route(service="ingest", path="/v1/quota", methods=("GET",)),
    Route(service="ingest", path="/v1/imports/{rest...}", methods=("POST",)),
    Route(service="catalog", path="/v1/{rest...}"),
    Route(service="ingest", path="/media/upload", methods=("POST",)),
    Route(service="ingest", path="/media/upload/{persona_id}", methods=("POST",)),
    Route(service="catalog", path="/media"),
    Route(service="catalog", path="/media/{rest...}"),
    Route(service="catalog", path="/ws/media", methods=("GET",)),
    Route(service="ingest", path="/api/v1/media/upload", methods=("POST",)),
    Route(service="ingest", path="/api/v1/media/content/{id}/upload", methods=("POST",)),
    Route(service="catalog", path="/api/v1/media"),
    Route(service="catalog", path="/api/v1/media/{rest...}"),
    Route(service="ingest", path="/api/media/upload", methods=("POST",)),
    Route(service="catalog", path="/api/media"),
    Route(service="catalog", path="/api/media/{rest...}"),
    # The pages for people.
    Route(service="catalog", path="/static/{rest...}", methods=("GET",)),
    Route(service="catalog", path="/admin/{rest...}", methods=("GET",)),
)  # fmt: skip
"""Uploads go to ingest, and all else that is said of media to the catalog: our own API first, then the older ones."""


class Table:
    """The routes, ready to look requests up."""

    def __init__(self, routes: tuple[Route, ...] = ROUTES) -> None:
        self._routes = [(re.compile(route.request_pattern), route.service) for route in routes]

    def owner(self, method: str, path: str) -> Service | None:
        """The service that answers this request; None when it is nobody's."""
        request = f"{method}:{path}"
        return next((service for pattern, service in self._routes if pattern.match(request)), None)


def nginx_map(routes: tuple[Route, ...] = ROUTES) -> str:
    """An nginx `map` from method and path to the upstream; nginx takes the first expression that matches too.

    A browser's preflight counts as the method that it asks for.
    """
    lines = [f'    "~{route.request_pattern}" {route.service};' for route in routes]
    preflight = [
        "map $http_access_control_request_method $tripod_asked {",
        "    default $http_access_control_request_method;",
        '    "" $request_method;',
        "}",
        "map $request_method $tripod_method {",
        "    default $request_method;",
        "    OPTIONS $tripod_asked;",
        "}",
    ]
    return "\n".join(
        [*preflight, 'map "$tripod_method:$uri" $tripod_service {', '    default "";', *lines, "}", ""]
    )

"""Which service gets which request."""

import re

import pytest

from deploy.routes import ROUTES, Route, Table, nginx_map


@pytest.mark.parametrize(
    ("method", "path", "owner"),
    [
        ("POST", "/v1/uploads", "ingest"),
        ("POST", "/v1/uploads/", "ingest"),
        ("POST", "/v1/uploads/batch", "ingest"),
        ("PUT", "/v1/uploads/raw/holiday.jpg", "ingest"),
        ("PUT", "/v1/uploads/raw/a\r\nb.jpg", "ingest"),
        ("GET", "/v1/uploads/0193", "ingest"),
        ("HEAD", "/v1/uploads/tus/0193", "ingest"),
        ("POST", "/v1/media/similar", "ingest"),
        ("GET", "/v1/media/similar", "catalog"),
        ("GET", "/v1/media/MED-1/similar", "catalog"),
        ("POST", "/v1/media/MED-1/links", "catalog"),
        ("PUT", "/v1/entities/persona/1", "catalog"),
        ("GET", "/v1/uploads-of-mine", "catalog"),
        ("GET", "/v2/media", None),
        ("GET", "/v1", None),
        ("GET", "/metrics", None),
        ("GET", "/x/v1/uploads", None),
    ],
)
def test_request_goes_to_its_owner(method: str, path: str, owner: str | None) -> None:
    assert Table().owner(method, path) == owner


def test_first_match_wins_so_a_static_path_can_stand_before_an_id() -> None:
    table = Table(
        (
            Route(service="ingest", path="/media/upload", methods=("POST",)),
            Route(service="ingest", path="/media/upload/{persona_id}", methods=("POST",)),
            Route(service="catalog", path="/media/{id}"),
        )
    )

    assert table.owner("POST", "/media/upload") == "ingest"
    assert table.owner("POST", "/media/upload/") == "ingest"
    assert table.owner("POST", "/media/upload/7") == "ingest"
    assert table.owner("GET", "/media/upload") == "catalog"
    assert table.owner("GET", "/media/7") == "catalog"
    assert table.owner("GET", "/media/7/more") is None


def test_get_includes_head() -> None:
    table = Table((Route(service="catalog", path="/files/{id}", methods=("GET",)),))

    assert table.owner("HEAD", "/files/1") == "catalog"
    assert table.owner("DELETE", "/files/1") is None


def test_dots_of_a_path_are_not_wildcards() -> None:
    table = Table((Route(service="catalog", path="/a.json"),))

    assert table.owner("GET", "/a.json") == "catalog"
    assert table.owner("GET", "/aXjson") is None


def test_nginx_map_decides_as_the_table_does() -> None:
    expressions = re.findall(r'^    "~(.+)" (ingest|catalog);$', nginx_map(), flags=re.MULTILINE)
    assert len(expressions) == len(ROUTES)

    for method, path in (
        ("POST", "/v1/uploads"),
        ("POST", "/v1/media/similar"),
        ("GET", "/v1/media/1"),
        ("GET", "/"),
    ):
        first = next((owner for pattern, owner in expressions if re.match(pattern, f"{method}:{path}")), None)
        assert first == Table().owner(method, path)

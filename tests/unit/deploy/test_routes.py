"""Which service gets which request."""

import re

import pytest

from deploy.routes import ROUTES, Route, Table, nginx_map

OLDER_UPLOADS = (
    "/media/upload",
    "/media/upload/1",
    "/api/v1/media/upload",
    "/api/v1/media/content/123e4567-e89b-12d3-a456-426614174000/upload",
    "/api/media/upload",
    "/v1/media/upload",
    "/v1/media/batch/upload",
    "/v1/media/users/1/avatar",
    "/v1/media/users/1/cover",
    "/v1/media/properties/123/photos",
    "/v1/media/builders/12/portfolio",
    "/v1/media/builders/12/logo",
    "/v1/media/communities/123/photos",
    "/v1/media/communities/123/amenities/4/photos",
    "/v1/media/sales-reps/5/avatar",
    "/v1/media/posts/1/media",
)
OLDER_READS = (
    ("GET", "/media/files"),
    ("PUT", "/media/files/1"),
    ("GET", "/media/download/1"),
    ("GET", "/media/stats"),
    ("GET", "/media/"),
    ("GET", "/media"),
    ("PATCH", "/media/1"),
    ("DELETE", "/media/1"),
    ("POST", "/media/filter/paginated"),
    ("GET", "/media/user_2/image/1_photo.jpg"),
    ("GET", "/media/stats/info"),
    ("GET", "/api/v1/media/"),
    ("PUT", "/api/v1/media/123e4567-e89b-12d3-a456-426614174000"),
    ("GET", "/api/v1/media/content/1/media"),
    ("GET", "/api/v1/media/files/2024/12/photo_a1.jpg"),
    ("GET", "/api/media/"),
    ("POST", "/api/media/1/reprocess/"),
    ("POST", "/v1/media/batch/delete"),
    ("GET", "/v1/media/entity/property/123"),
    ("GET", "/v1/media/public/MED-1"),
    ("GET", "/v1/media/1"),
    ("POST", "/v1/media/lookup"),
)


@pytest.mark.parametrize(
    ("method", "path", "owner"),
    [
        ("GET", "/ws/media", "catalog"),
        ("POST", "/media/filter/paginated", "catalog"),
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
        *((method, path, "catalog") for method, path in OLDER_READS),
        *(("POST", path, "ingest") for path in OLDER_UPLOADS),
        *(("POST", f"{path}/", "ingest") for path in OLDER_UPLOADS),
        *(("GET", path, "catalog") for path in OLDER_UPLOADS),
        ("GET", "/static/media-upload-test.html", "catalog"),
        ("HEAD", "/static/console/api.js", "catalog"),
        ("GET", "/admin/mediafiles/media/", "catalog"),
        ("POST", "/admin/mediafiles/media/", None),
        ("GET", "/static", None),
        ("GET", "/admin", None),
        ("GET", "/api/other", None),
        ("GET", "/medias", None),
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
        *OLDER_READS,
        *(("POST", f"{path}/") for path in OLDER_UPLOADS),
    ):
        first = next((owner for pattern, owner in expressions if re.match(pattern, f"{method}:{path}")), None)
        assert first == Table().owner(method, path)

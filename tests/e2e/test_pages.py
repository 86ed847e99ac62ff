"""The pages for people stand at the origin under their policy; tests/browser uses them."""

import http.client
from urllib.parse import urlsplit

import httpx
import pytest

from tests.fixtures.system import System


@pytest.mark.parametrize(
    "path",
    ["/static/media-upload-test.html", "/static/websocket-test.html", "/admin/mediafiles/media/"],
)
def test_a_page_is_at_the_address_that_the_older_systems_had(nobody: httpx.Client, path: str) -> None:
    answer = nobody.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert answer.headers["cache-control"] == "no-cache"
    assert nobody.get(path, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    head = nobody.head(path)
    assert (head.status_code, head.headers["etag"]) == (200, answer.headers["etag"])


@pytest.mark.parametrize(
    "path",
    [
        "/static/console/../../settings.py",
        "/static/console/%2e%2e/app.py",
        "/static/..%2f..%2f..%2fetc/passwd",
        "/admin/../static/console/upload.html",
        "/static/console/api.js%00",
        "/admin/",
    ],
)
def test_no_way_round_leads_out_of_the_folder(system: System, path: str) -> None:
    origin = urlsplit(system.origin_url)
    connection = http.client.HTTPConnection(str(origin.hostname), origin.port, timeout=10)
    connection.request("GET", path)  # as it stands: other clients tidy it up
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status in {400, 404}
    assert b"import" not in body

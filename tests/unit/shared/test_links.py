from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from shared import links
from shared.errors import Forbidden

SETTINGS = links.LinkSettings(secret="k" * 32, seconds=3600, window=900)
PATH = "/v1/media/0190/download"
NOW = 1_700_000_000.0


def query(url: str) -> dict[str, Any]:
    found = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    return {
        "expires": found["expires"],
        "disposition": found.get("disposition", ""),
        "signature": found["signature"],
    }


def test_a_link_holds_until_it_expires_and_not_after() -> None:
    url, expires = links.sign(SETTINGS, PATH, now=NOW)
    links.check(SETTINGS, PATH, **query(url), now=expires)
    with pytest.raises(Forbidden, match="expired"):
        links.check(SETTINGS, PATH, **query(url), now=expires + 1)


def test_one_file_has_one_url_per_window_so_that_caches_work() -> None:
    first, expires = links.sign(SETTINGS, PATH, now=NOW)
    assert {links.sign(SETTINGS, PATH, now=NOW + s)[0] for s in range(100)} == {first}
    assert expires % 900 == 0
    assert 3600 <= expires - NOW <= 3600 + 900


@pytest.mark.parametrize(
    "change",
    [
        {"expires": "99999999999"},
        {"disposition": "inline"},
        {"signature": "0" * 64},
        {"expires": "soon"},
        {"expires": ""},
    ],
)
def test_a_changed_link_is_refused(change: dict[str, str]) -> None:
    url, _ = links.sign(SETTINGS, PATH, now=NOW)
    with pytest.raises(Forbidden, match="not valid"):
        links.check(SETTINGS, PATH, **{**query(url), **change}, now=NOW)


def test_an_expiry_that_is_written_in_another_way_is_refused() -> None:
    url, expires = links.sign(SETTINGS, PATH, now=NOW)
    for written in (f"0{expires}", f"+{expires}", f"{expires} "):
        with pytest.raises(Forbidden, match="not valid"):
            links.check(SETTINGS, PATH, **{**query(url), "expires": written}, now=NOW)


def test_a_link_opens_only_its_own_path_and_only_with_our_secret() -> None:
    url, _ = links.sign(SETTINGS, PATH, now=NOW)
    with pytest.raises(Forbidden):
        links.check(SETTINGS, "/v1/media/0191/download", **query(url), now=NOW)
    with pytest.raises(Forbidden):
        links.check(links.LinkSettings(secret="other" * 8), PATH, **query(url), now=NOW)


def test_every_parameter_is_under_the_signature_and_a_link_without_any_is_as_ever() -> None:
    asked = {"w": "320", "format": "auto"}
    url, _ = links.sign(SETTINGS, PATH, parameters=asked, now=NOW)
    assert url.startswith(f"{PATH}?w=320&format=auto&expires=")
    links.check(SETTINGS, PATH, **query(url), parameters=dict(reversed(asked.items())), now=NOW)
    for changed in (
        {},
        {"w": "320"},
        {"w": "321", "format": "auto"},
        {**asked, "q": "1"},
        {"w": "320&format=auto"},
    ):
        with pytest.raises(Forbidden, match="not valid"):
            links.check(SETTINGS, PATH, **query(url), parameters=changed, now=NOW)
    plain, _ = links.sign(SETTINGS, PATH, now=NOW)
    assert links.sign(SETTINGS, PATH, parameters={}, now=NOW)[0] == plain

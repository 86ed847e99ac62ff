"""The demo entities of `make run`: something of every kind to hang media on, all of it user 1's."""

import httpx
import msgspec

from deploy.errors import StackError

OWNER = "1"


class DemoEntity(msgspec.Struct, frozen=True, kw_only=True):
    """A thing in another system."""

    type: str
    id: str
    display_id: str | None = None


ENTITIES = (
    DemoEntity(type="persona", id="1"),
    DemoEntity(type="property", id="123", display_id="PROP-123"),
    DemoEntity(type="community", id="123", display_id="CMY-123"),
    DemoEntity(type="builder", id="12", display_id="BLD-012"),
    DemoEntity(type="post", id="1"),
    DemoEntity(type="user", id="1", display_id="USR-1"),
    DemoEntity(type="content", id="123e4567-e89b-12d3-a456-426614174000"),
)


def seed(url: str, service_token: str) -> None:
    """Register each demo entity that is not there yet; one that somebody changed stays as it is.

    Raises StackError when the origin refuses or does not answer.
    """
    headers = {"Authorization": f"Bearer {service_token}"}
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=10) as http:
            for entity in ENTITIES:
                register(http, entity)
    except httpx.HTTPError as error:
        raise StackError(f"the demo entities could not be registered at {url}: {error}") from error


def register(http: httpx.Client, entity: DemoEntity) -> None:
    path = f"/v1/entities/{entity.type}/{entity.id}"
    found = http.get(path)
    if found.status_code == 404:
        body = {"owners": [OWNER], "admins": [], "display_id": entity.display_id}
        found = http.put(path, json=body)
    if found.is_error:
        raise StackError(f"the demo entity {path} was refused with {found.status_code}: {found.text}")

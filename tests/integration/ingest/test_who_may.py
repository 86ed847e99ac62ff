"""Who may upload under each profile, decided from the registry while no catalog is there."""

import httpx
import jwt
import msgspec

from shared import profiles
from shared.entities import Entity, key
from shared.env import Env
from shared.events import topology
from tests.fixtures.pictures import encoded, picture
from tests.integration.ingest.conftest import SECRET
from tests.integration.ingest.in_memory import running

PNG = encoded(picture(160, 120), "PNG")
OWN = """
[internal]
who = "service"
recipe = "standard"
key = "internal/{uuid}.{ext}"
max_bytes = { image = 100_000 }

[board]
attach = "anyone"
recipe = "standard"
key = "board/{entity_id}/{uuid}.{ext}"
max_bytes = { image = 100_000 }
"""
KNOWN = {**profiles.load(Env({})), **profiles.parse(OWN.encode(), "the tests")}
# The claims of each caller. All own or administer the same, whatever its type: see REGISTERED.
CALLERS: dict[str, dict[str, object] | None] = {
    "nobody": None,
    "stranger": {"sub": "eve"},
    "owner": {"sub": "olga"},
    "admin of it": {"sub": "adam"},
    "numbered": {"sub": "nora", "uid": 42},
    "moderator": {"sub": "mod", "roles": ["moderator"]},
    "admin": {"sub": "root", "roles": ["admin"]},
    "service": {"sub": "back", "roles": ["service"]},
}
REGISTERED = [
    Entity(type=kind, id="1", owners=("olga",), admins=("adam",))
    for kind in ("user", "sales_rep", "persona", "content", "post", "builder", "property")
]
YES = 202
ALL_IN = ("stranger", "owner", "admin of it", "numbered", "moderator", "admin", "service")
GOVERN = ("admin", "service")
# profile, what it hangs on, who may; the others get the status.
TABLE: list[tuple[str, str, tuple[str, ...], int]] = [
    ("default", "", ALL_IN, 401),
    ("default", "post/1", ("owner", "admin of it", *GOVERN), 403),
    ("internal", "", GOVERN, 403),
    ("internal", "post/1", GOVERN, 403),
    ("board", "post/1", ALL_IN, 401),
    ("content", "", ALL_IN, 401),
    ("content", "content/1", ALL_IN, 401),
    ("mediafiles", "", ALL_IN, 401),
    ("library", "", ALL_IN, 401),
    ("persona", "persona/1", ("owner", *GOVERN), 403),
    ("avatar", "user/1", ("owner", *GOVERN), 403),
    ("avatar", "user/42", ("numbered",), 404),
    ("avatar", "user/nora", ("numbered",), 404),
    ("cover", "user/eve", ("stranger",), 404),
    ("entity", "user/adam", ("admin of it",), 404),
    ("avatar", "sales_rep/1", ("owner", *GOVERN), 403),
    ("avatar", "sales_rep/olga", (), 404),
    ("logo", "builder/1", ("owner", *GOVERN), 403),
    ("portfolio", "builder/1", ("owner", *GOVERN), 403),
    ("photos", "property/1", ("owner", "admin of it", *GOVERN), 403),
    ("gallery", "property/1", ("owner", "admin of it", *GOVERN), 403),
    ("post", "post/1", ("owner", *GOVERN), 403),
    ("post", "post/absent", (), 404),
    ("board", "post/gone", (), 404),
    # Whoever it is: a profile that everybody may hang media by is for entities of its types alone.
    ("content", "persona/1", (), 422),
    ("content", "post/absent", (), 422),
    ("avatar", "post/1", (), 422),
    ("cover", "sales_rep/1", (), 422),
    ("entity", "property/1", (), 422),
]


async def put(http: httpx.AsyncClient, claims: dict[str, object] | None, query: dict[str, str]) -> int:
    headers = {} if claims is None else {"Authorization": f"Bearer {jwt.encode(claims, SECRET, 'HS256')}"}
    answer = await http.put("/v1/uploads/raw/a.png", params=query, content=PNG, headers=headers)
    assert answer.status_code < 300 or answer.json()["detail"]
    return answer.status_code


async def test_every_profile_lets_in_whom_it_names_and_nobody_else() -> None:
    assert {profile for profile, *_ in TABLE} == set(KNOWN)
    async with (
        running(known=KNOWN) as small,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{small.port}") as http,
    ):
        assert not small.ingest.heartbeat.alive
        registry = small.bus.kv(topology.ENTITIES)
        for entity in (*REGISTERED, Entity(type="post", id="gone", owners=("olga",), deleted=True)):
            await registry.put(key(entity.type, entity.id), msgspec.json.encode(entity))
        found, expected, taken = {}, {}, 0
        for profile, hung_on, may, others in TABLE:
            query = {"profile": profile}
            if hung_on:
                query |= dict(zip(("entity_type", "entity_id"), hung_on.split("/"), strict=True))
            for caller, claims in CALLERS.items():
                case = (profile, hung_on, caller)
                found[case] = await put(http, claims, query)
                expected[case] = YES if caller in may else 401 if claims is None else others
                taken += caller in may
        assert found == expected
        assert len(small.blobs.objects) == taken


async def test_an_entity_that_is_told_behind_the_file_must_be_of_the_profiles_types_too() -> None:
    async with running(known=KNOWN) as small, small.client() as http:
        part = 'Content-Disposition: form-data; name="{}"'
        fields = {"profile": "content", "entity_type": "persona", "entity_id": "1"}
        pieces = [f'{part.format("file")}; filename="a.png"\r\n\r\n'.encode() + PNG]
        pieces += [f"{part.format(name)}\r\n\r\n{value}".encode() for name, value in fields.items()]
        body = b"".join(b"--x\r\n" + piece + b"\r\n" for piece in pieces) + b"--x--\r\n"
        await small.bus.kv(topology.ENTITIES).put(
            key("persona", "1"), msgspec.json.encode(Entity(type="persona", id="1", owners=("olga",)))
        )
        answer = await http.post(
            "/v1/uploads", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"}
        )
        assert answer.status_code == 422
        assert answer.json()["field"] == "entity_type"
        assert (
            answer.json()["detail"]
            == "The profile 'content' is for media of content; entity_type is 'persona'."
        )
        assert await small.nothing_is_left()

"""A profile that an operator has written, and what every profile does with one or many, from end to end."""

import functools
import uuid
from collections.abc import Callable

import httpx
import pytest

from tests.e2e.conftest import Client
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.stack import Stack
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually


def png(seed: int, side: int = 200) -> bytes:
    return encoded(picture(side, side, seed=seed), "PNG")


@pytest.fixture
def team(stack: Stack, service: Client, ann: Client) -> str:
    """`teams/<id>`: ann's, that ingest has heard of. The embedded stack has the profile of its badge."""
    assert stack.origin_url
    name = f"t{uuid.uuid4().hex[:8]}"
    answer = service.http.put(f"/v1/entities/team/{name}", json={"owners": [ann.sub]})
    assert answer.status_code == 200, answer.text
    path = f"/v1/media/teams/{name}/badge"
    eventually(lambda: ann.http.post(path, files={"file": ("a", b"x")}).status_code != 404, path)
    return f"teams/{name}"


def post(client: Client, team: str, data: bytes, name: str = "a.png", **said: str) -> httpx.Response:
    return client.http.post(f"/v1/media/{team}/badge", files={"file": (name, data)}, data=said)


def badges(client: Client, team: str) -> list[int]:
    answer = client.http.get(f"/v1/media/entity/team/{team.removeprefix('teams/')}")
    assert answer.status_code == 200, answer.text
    return [media["id"] for media in answer.json()]


def test_an_operators_profile_works_by_its_file_alone(
    system: System, ann: Client, bob: Client, service: Client, team: str
) -> None:
    objects = system.objects
    name = team.removeprefix("teams/")
    answer = post(ann, team, png(1), caption="First", alt_text="not taken here")
    assert answer.status_code == 201, answer.text
    first = answer.json()["media"]
    assert answer.json()["message"] == "Badge uploaded successfully"
    assert (first["entity_type"], first["entity_id"], first["entity_field"]) == ("team", name, "badge")
    assert (first["caption"], first["alt_text"], first["is_public"], first["is_primary"]) == (
        "First", None, True, True,
    )  # fmt: skip
    assert any(f"badges/{name}/" in found for found in objects())

    for data, file, says in (
        (encoded(picture(64, 48)), "a.jpg", "Invalid file type"),
        (png(2, 501), "a.png", "501 x 501"),
        (png(3) + bytes(100_000), "a.png", "File too large"),
    ):
        refused = post(ann, team, data, file)
        assert (refused.status_code, says in refused.json()["detail"]) == (400, True), refused.text
    refused = post(bob, team, png(4))
    assert refused.status_code == 403
    assert (
        refused.json()["detail"]
        == "Not authorized. Only an owner or admin of the team can upload media here."
    )

    media = ann.uploaded(
        png(5), "a.png", profile="badge", entity_type="team", entity_id=name, entity_field="badge"
    )
    assert media["status"] == "ready"
    eventually(lambda: badges(ann, team) == [media["number"]], "the first to be replaced")
    eventually(
        lambda: len([o for o in objects() if f"badges/{name}/" in o]) == 1, "its original to be erased"
    )

    assert service.http.delete(f"/v1/entities/team/{name}").status_code in {200, 204}
    eventually(lambda: badges(ann, team) == [], "the last to go with its entity")
    eventually(lambda: not [o for o in objects() if f"badges/{name}/" in o], "nothing to be left")


def test_the_former_one_of_a_slot_stays_until_the_new_one_is_ready(
    stack: Stack, ann: Client, team: str
) -> None:
    first = post(ann, team, png(10)).json()["media"]["id"]
    stack.stop("processor")
    try:
        later = [
            ann.upload(png(10 + n), "a.png", profile="badge", entity_type="team",
                       entity_id=team.removeprefix("teams/"), entity_field="badge").json()["number"]
            for n in (1, 2)
        ]  # fmt: skip
        eventually(lambda: sorted(badges(ann, team)) == [first, *later], "the new ones to be catalogued")
    finally:
        stack.start("processor")
    eventually(lambda: badges(ann, team) == [later[-1]], "the last one alone to be there", 30)


def test_one_that_cannot_be_processed_leaves_the_former(ann: Client, team: str) -> None:
    first = post(ann, team, png(20)).json()["media"]["id"]
    broken = post(ann, team, png(21, 400)[:-4000])
    assert broken.status_code == 400, broken.text
    assert badges(ann, team) == [first]


def answered(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer of a catalog that has read all events: while it has not, a client is told to come back."""

    def look() -> httpx.Response | None:
        answer = ask()
        return answer if answer.status_code != 503 else None

    return eventually(look, "the catalog to have caught up")


def test_a_file_that_is_there_is_not_taken_twice(ann: Client) -> None:
    data = png(30)
    first = ann.uploaded(data, "a.png")
    rejected = answered(lambda: ann.upload(data, "b.png", on_duplicate="reject"))
    assert (rejected.status_code, rejected.json()["existing"]["id"]) == (409, first["id"])
    reused = answered(lambda: ann.upload(data, "b.png", on_duplicate="reuse"))
    assert (reused.status_code, reused.json()["id"], reused.json()["status"]) == (200, first["id"], "ready")
    assert [media["id"] for media in ann.mine()] == [first["id"]]
    assert ann.http.delete(f"/v1/media/{first['id']}").status_code == 204
    anew = answered(lambda: ann.upload(data, "b.png", on_duplicate="reject"))
    assert anew.status_code in {201, 202}


def test_a_file_is_found_that_was_acknowledged_a_moment_ago(ann: Client) -> None:
    data = png(31)
    for place in range(5):
        body = data + bytes([place])
        first = ann.http.put("/v1/uploads/raw/a.png", content=body, headers={"Prefer": "respond-async"})
        assert first.status_code == 202, first.text
        again = answered(
            functools.partial(ann.http.put, "/v1/uploads/raw/a.png?on_duplicate=reuse", content=body)
        )
        assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])

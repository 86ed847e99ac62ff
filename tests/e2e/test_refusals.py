"""What is refused is refused with the documented status, in words for people, and leaves nothing behind."""

from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Client
from tests.fixtures.pictures import bomb_png, photo
from tests.fixtures.system import System
from tests.fixtures.waiting import eventually

LIMIT = 100 * 1024 * 1024


def originals(system: System) -> set[str]:
    """What uploads have left in the store, unfinished ones too. Other tests' media may still be on their way: their
    variants come, and what was deleted goes."""
    return {name for name in system.objects() if "/variants/" not in name}


def assert_problem(answer: httpx.Response, status: int, *words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    for word in words:
        assert word in problem["detail"], problem["detail"]


def test_a_truncated_jpeg_is_accepted_then_fails_as_truncated(ann: Client) -> None:
    data = photo(1600, 1200)
    media = ann.uploaded(data[: len(data) // 2])
    assert media["status"] == "failed"
    assert media["error"]["code"] == "truncated"
    assert len(media["error"]["detail"]) > 20
    assert media["variants"] == []


def test_text_that_calls_itself_a_picture_is_415(ann: Client, system: System) -> None:
    before = originals(system)
    assert_problem(ann.upload(b"I am only a text file.\n" * 50, "photo.jpg"), 415, "image/jpeg")
    assert originals(system) <= before
    assert ann.mine() == []


def test_a_png_of_gigapixels_is_refused_with_sides_and_limit(ann: Client, system: System) -> None:
    before = originals(system)
    answer = ann.upload(bomb_png(), "bomb.png")
    assert_problem(answer, 422, "60000", "100")
    assert originals(system) <= before


def test_an_empty_file_is_refused(ann: Client, system: System) -> None:
    before = originals(system)
    assert_problem(ann.upload(b"", "empty.jpg"), 422, "empty")
    assert originals(system) <= before


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data; boundary=xyz", b""),
        (
            "multipart/form-data; boundary=xyz",
            b"--abc\r\nContent-Disposition: form-data; name=file\r\n\r\n\r\n--abc--",
        ),
        ("multipart/form-data", b"--xyz--\r\n"),
        (
            "multipart/form-data; boundary=xyz",
            b"--xyz\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--xyz--\r\n",
        ),
        ("application/json", b"{}"),
    ],
    ids=["empty body", "wrong boundary", "no boundary", "no file", "not a form"],
)
def test_a_body_that_is_no_form_with_a_file_is_400(
    ann: Client, system: System, content_type: str, body: bytes
) -> None:
    before = originals(system)
    answer = ann.http.post("/v1/uploads", content=body, headers={"Content-Type": content_type})
    assert answer.status_code in ({415} if content_type == "application/json" else {400}), answer.text
    assert len(answer.json()["detail"]) > 20
    assert originals(system) <= before


def test_no_token_is_401_before_the_body_is_read(nobody: httpx.Client, system: System) -> None:
    before = originals(system)
    answer = nobody.post("/v1/uploads", files={"file": ("a.jpg", photo())})
    assert_problem(answer, 401, "Bearer")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert originals(system) <= before


def test_a_file_over_the_limit_is_cut_at_the_byte_and_the_limit_is_named(ann: Client, system: System) -> None:
    before = originals(system)
    jpeg = photo()
    answer = ann.upload(jpeg + bytes(LIMIT - len(jpeg) + 1), "large.jpg")
    assert_problem(answer, 413, str(LIMIT))
    eventually(lambda: originals(system) <= before, "the unfinished upload to be gone")


def test_an_unknown_entity_and_one_of_others_are_refused(
    ann: Client, service: Client, system: System
) -> None:
    before = originals(system)
    assert_problem(ann.upload(photo(), entity_type="post", entity_id="absent"), 404, "absent")
    made = service.http.put("/v1/entities/post/of-carl", json={"owners": ["carl"]})
    assert made.status_code in {200, 201, 204}, made.text
    answer = eventually(
        lambda: (
            found
            if (found := ann.upload(photo(), entity_type="post", entity_id="of-carl")).status_code != 404
            else None
        ),
        "the registry to know the entity",
    )
    assert_problem(answer, 403)
    eventually(lambda: originals(system) <= before, "the refused files to be gone")


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"metadata": "{not json"}, "metadata"),
        ({"metadata": "[1]"}, "metadata"),
        ({"is_public": "perhaps"}, "is_public"),
        ({"sort_order": "first"}, "sort_order"),
        ({"profile": "nope"}, "default"),
        ({"description": "x" * 5001}, "5000"),
        ({"alt_text": "a\x00b"}, "alt_text"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_allowed(
    ann: Client, system: System, fields: dict[str, str], word: str
) -> None:
    before = originals(system)
    assert_problem(ann.upload(photo(), **fields), 422, word)
    eventually(lambda: originals(system) <= before, "the refused file to be gone")


def test_invariant_10_nobody_sees_what_is_not_theirs(ann: Client, bob: Client, nobody: httpx.Client) -> None:
    media = ann.uploaded(photo(seed=20))
    twin = bob.uploaded(photo(seed=20))
    absent = media["id"][:-4] + "0000"
    calls = [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("GET", "/download"),
        ("HEAD", "/download"),
        ("GET", "/variants/small"),
        ("GET", "/similar"),
        ("POST", "/links"),
        ("POST", "/reprocess"),
    ]
    for method, tail in calls:
        body: dict[str, Any] = {"json": {}} if method in {"PATCH", "POST"} else {}
        theirs = bob.http.request(method, f"/v1/media/{media['id']}{tail}", **body)
        none = bob.http.request(method, f"/v1/media/{absent}{tail}", **body)
        assert theirs.status_code == none.status_code == 404, (method, tail, theirs.text)
        if method != "HEAD":
            texts = [a.json()["detail"].replace(i, "ID") for a, i in ((theirs, media["id"]), (none, absent))]
            assert texts[0] == texts[1], (method, tail)
        bare = nobody.request(method, f"/v1/media/{media['id']}{tail}", **body)
        assert bare.status_code in {401, 404}, (method, tail, bare.text)
    assert [item["id"] for item in bob.mine()] == [twin["id"]]
    assert bob.http.get("/v1/media", params={"owner": ann.sub}).json()["items"] == []
    assert bob.http.get(f"/v1/media/{twin['id']}/similar").json()["items"] == []
    assert ann.http.get(f"/v1/media/{media['id']}").json()["status"] == "ready"


def test_who_may_read_but_not_change_gets_403(ann: Client, bob: Client, nobody: httpx.Client) -> None:
    media = ann.uploaded(photo(seed=21), is_public="true")
    url = f"/v1/media/{media['id']}"
    assert bob.http.get(url).status_code == nobody.get(url).status_code == 200
    assert_problem(bob.http.patch(url, json={"caption": "mine"}), 403)
    assert_problem(bob.http.delete(url), 403)


def test_owners_of_an_entity_see_what_hangs_on_it(ann: Client, bob: Client, service: Client) -> None:
    name = f"of-{abs(hash(ann.sub))}"
    service.http.put(f"/v1/entities/post/{name}", json={"owners": [ann.sub, bob.sub]})
    answer = eventually(
        lambda: (
            a
            if (a := ann.upload(photo(seed=22), entity_type="post", entity_id=name)).status_code < 400
            else None
        ),
        "the registry to know the entity",
    )
    media = ann.final(answer.json()["id"])
    assert media["entity"]["type"] == "post"
    assert bob.http.get(f"/v1/media/{media['id']}").status_code == 200
    listed = bob.http.get("/v1/media", params={"entity_type": "post", "entity_id": name}).json()["items"]
    assert [item["id"] for item in listed] == [media["id"]]
    service.http.put(f"/v1/entities/post/{name}", json={"owners": [ann.sub]})
    eventually(lambda: bob.http.get(f"/v1/media/{media['id']}").status_code == 404, "the right to be gone")


def test_the_registry_is_for_services_only(ann: Client) -> None:
    assert_problem(ann.http.put("/v1/entities/post/1", json={"owners": [ann.sub]}), 403)

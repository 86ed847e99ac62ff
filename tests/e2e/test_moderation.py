"""A profile whose media wait for a moderator, from the upload to the public, and a copy of what was rejected."""

from typing import Any

import httpx

from tests.e2e.conftest import Client
from tests.fixtures.pictures import encoded, picture
from tests.fixtures.stack import Stack
from tests.fixtures.waiting import eventually

SEED = 90_210


def decide(service: Client, media: dict[str, Any], **said: str) -> None:
    answer = service.http.post(f"{media['url']}/moderation", json=said)
    assert answer.status_code == 200, answer.text


def test_what_is_to_be_reviewed_is_public_once_it_is_approved_and_what_was_rejected_is_known_again(
    stack: Stack, nobody: httpx.Client, ann: Client, bob: Client, service: Client
) -> None:
    assert stack.origin_url
    sent = ann.upload(encoded(picture(seed=SEED)), "a.jpg", profile="reviewed")
    assert (sent.json()["moderation"], sent.json()["is_public"]) == ("pending", True)
    media = ann.final(sent.json()["id"])
    link = ann.http.post(f"{media['url']}/links", json={}).json()["url"]
    for url in (media["url"], media["download_url"], media["thumbnail_url"], link):
        assert nobody.get(url).status_code == 404, url
    assert ann.http.get(media["download_url"]).status_code == 200
    decide(service, media, state="approved")
    for url in (media["url"], media["download_url"], media["thumbnail_url"], link):
        assert nobody.get(url).status_code == 200, url
    decide(service, media, state="rejected", reason="Not ours.")
    for url in (media["url"], media["download_url"], media["thumbnail_url"], link):
        assert nobody.get(url).status_code == 404, url
    history = ann.http.get(f"{media['url']}/moderation").json()
    assert (history["state"], history["reason"]) == ("rejected", "Not ours.")
    # Another's copy, smaller and encoded again.
    copy = bob.uploaded(encoded(picture(seed=SEED).resize((600, 450)), quality=70), "b.jpg", is_public="true")
    assert (copy["sha256"] != media["sha256"], copy["moderation"]) == (True, "flagged")
    queue = service.http.get("/v1/moderation", params={"owner": bob.sub}).json()["items"]
    assert [(item["media"]["id"], item["decision"]["matched"]) for item in queue] == [
        (copy["id"], media["id"])
    ]
    gone = ann.http.post("/v1/media/batch/delete", json={"refs": [media["public_id"], copy["id"]]}).json()
    assert [item["status"] for item in gone["items"]] == [204, 404]
    eventually(lambda: ann.http.get(media["url"]).status_code == 404, "it to be gone")

"""Many photos in one form: seen live by their owner while they arrive, then each a media of its own."""

import json
from collections import defaultdict
from contextlib import ExitStack
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.e2e.conftest import Client
from tests.fixtures.pictures import photo
from tests.fixtures.system import System

NAMES = ["one.jpg", "two.jpg", "three.jpg"]


def listen(system: System, client: Client) -> ClientConnection:
    token = client.http.headers["authorization"].removeprefix("Bearer ")
    return connect(system.origin_url.replace("http", "ws", 1) + f"/v1/live?token={token}")


def heard_until_ready(socket: ClientConnection, count: int) -> dict[str, list[dict[str, Any]]]:
    """What was told of each media, up to the moment at which so many are ready."""
    heard: dict[str, list[dict[str, Any]]] = defaultdict(list)
    ready: set[str] = set()
    while len(ready) < count:
        message = json.loads(socket.recv(timeout=30))
        heard[message["id"]].append(message)
        if message.get("media", {}).get("status") == "ready":
            ready.add(message["id"])
    return heard


def test_the_owner_sees_each_photo_of_a_batch_arrive_and_nobody_else_does(
    ann: Client, bob: Client, system: System
) -> None:
    photos = [photo(seed=seed) for seed in (61, 62, 63)]
    files = [("files", (name, data, "image/jpeg")) for name, data in zip(NAMES, photos, strict=True)]
    with ExitStack() as sockets:
        anns, bobs = (sockets.enter_context(listen(system, client)) for client in (ann, bob))
        first = ann.uploaded(photo(seed=60))
        heard_until_ready(anns, 1)  # the connection is known from here on
        answer = ann.http.post("/v1/uploads/batch", files=files, data={"tags": "trip"})
        assert answer.status_code in {201, 202}, answer.text
        uploaded = answer.json()["uploaded"]
        assert [media["filename"] for media in uploaded] == NAMES
        heard = heard_until_ready(anns, len(NAMES))
        bobs_own = bob.uploaded(photos[0])
        overheard = heard_until_ready(bobs, 1)
    for media, data in zip(uploaded, photos, strict=True):
        arriving = next(m for m in heard[media["id"]] if m.get("stage") == "receiving")
        assert (arriving["filename"], arriving["received"]) == (media["filename"], len(data))
        assert arriving["size"] == len(data)
        assert ann.http.get(media["download_url"]).content == data
    assert set(overheard) == {bobs_own["id"]}
    assert {media["id"] for media in ann.mine()} == {first["id"], *(media["id"] for media in uploaded)}

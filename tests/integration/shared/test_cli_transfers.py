"""Uploads, downloads and live events of the command line over real connections to a server that misbehaves."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import jwt
import pytest
from aiohttp import WSCloseCode, web
from aiohttp.test_utils import TestServer

from shared.cli.batch import Run
from shared.cli.client import Client, connected
from shared.cli.download import Part, Wanted, fetch
from shared.cli.failures import Refused, Unreachable
from shared.cli.live import Event, events
from shared.cli.retries import Patience, retrying
from shared.cli.sending import Wish
from shared.cli.server import Server
from shared.cli.tally import Tally
from shared.errors import Conflict, Unauthenticated

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
TOKEN = jwt.encode({"sub": "ann"}, "a secret of more than 32 bytes for tests", "HS256")
QUICK = Patience(attempts=5, first=0.001, longest=5)
DATA = bytes(range(256)) * 8000  # 2 MB


class Uploads:
    """Takes uploads as ingest does, after what `faults` has for each attempt: a status, or "cut"."""

    def __init__(self, *faults: int | str) -> None:
        self.faults = list(faults)
        self.asked: list[tuple[str, str]] = []
        self.stored: dict[str, bytes] = {}
        self.there: dict[str, dict[str, Any]] = {}

    async def put(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.headers["Idempotency-Key"], request.match_info["name"]))
        fault = self.faults.pop(0) if self.faults else None
        if fault == "cut":
            await request.content.readexactly(100_000)
            assert request.transport is not None
            request.transport.abort()
            raise asyncio.CancelledError
        if isinstance(fault, int):
            problem = {"detail": f"no: {fault}", "status": fault}
            return web.json_response(problem, status=fault, headers={"Retry-After": "0"})
        data = await request.read()
        assert len(data) == request.content_length
        digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
        assert request.headers["Repr-Digest"] == f"sha-256=:{digest}:"
        self.stored[request.headers["Idempotency-Key"]] = data
        media = {
            "id": str(len(self.stored)),
            "public_id": "MED-1",
            "profile": "default",
            "status": "processing",
        }
        return web.json_response(media, status=201)

    async def list(self, request: web.Request) -> web.StreamResponse:
        assert request.query["owner"] == "ann"
        found = self.there.get(request.query["sha256"])
        return web.json_response({"items": [found] if found else [], "next_cursor": None})


@asynccontextmanager
async def serving(*routes: web.RouteDef) -> AsyncIterator[Client]:
    """A client of a server with these routes."""
    app = web.Application(client_max_size=10**8)
    app.add_routes(routes)
    async with TestServer(app) as server:
        origin = Server(url=str(server.make_url("/")).rstrip("/"), token=TOKEN)
        async with connected(origin) as client:
            yield client


def taking(uploads: Uploads) -> tuple[web.RouteDef, ...]:
    return web.put("/v1/uploads/raw/{name}", uploads.put), web.get("/v1/media", uploads.list)


def write(folder: Path, **files: bytes) -> list[Path]:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in files]


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def run_of(client: Client, files: list[Path], said: list[str], *, again: bool = False) -> Run:
    tally = Tally({str(path): path.stat().st_size for path in files})
    return Run(client, Wish(patience=QUICK, again=again), files, tally, said.append)


async def test_a_server_that_is_busy_twice_and_then_cuts_the_connection_gets_the_file_once(
    tmp_path: Path,
) -> None:
    uploads, said = Uploads(503, 503, "cut"), list[str]()
    async with serving(*taking(uploads)) as client:
        run = run_of(client, write(tmp_path, a=DATA), said)
        await run.go(jobs=4)
    (result,) = run.results()
    assert (result.outcome, list(uploads.stored.values())) == ("uploaded", [DATA])
    assert len(uploads.asked) == 4
    assert len(set(uploads.asked)) == 1  # under one key
    assert [line.split(": ")[1] for line in said[:2]] == ["no", "no"]
    assert len(said) == 3
    summary = run.summary()
    assert len(DATA) < summary.bytes <= 2 * len(DATA)  # the part before the cut went over the wire as well
    assert TOKEN not in "".join(said)


async def test_what_is_there_and_what_comes_twice_is_sent_once(tmp_path: Path) -> None:
    uploads = Uploads()
    files = write(tmp_path, a=b"one", b=b"one", c=b"two", d=b"three")
    known = {"id": "7", "public_id": "MED-7", "profile": "default", "entity": None}
    uploads.there[hashlib.sha256(b"two").hexdigest()] = known
    uploads.there[hashlib.sha256(b"three").hexdigest()] = known | {
        "profile": "avatar"
    }  # elsewhere: another media
    async with serving(*taking(uploads)) as client:
        run = run_of(client, files, [])
        await run.go(jobs=4)
        outcomes = [result.outcome for result in run.results()]
        assert sorted(outcomes[:2]) == ["skipped", "uploaded"]
        assert outcomes[2:] == ["skipped", "uploaded"]
        assert sorted(uploads.stored.values()) == [b"one", b"three"]
        again = run_of(client, files, [], again=True)
        await again.go(jobs=2)
    assert again.summary().uploaded == 4
    assert len(uploads.stored) == 6


async def test_a_refused_file_fails_alone_and_a_dead_token_ends_the_run(tmp_path: Path) -> None:
    files = write(tmp_path, a=b"a", b=b"b", c=b"c", d=b"")
    uploads, said = Uploads(415), list[str]()
    async with serving(*taking(uploads)) as client:
        run = run_of(client, files[:3], said)
        await run.go(jobs=1)
        assert [result.outcome for result in run.results()] == ["failed", "uploaded", "uploaded"]
        assert run.results()[0].problem == {"detail": "no: 415", "status": 415}
        assert said == [f"{files[0]}: no: 415"]
        uploads.faults = [401]
        stopped = run_of(client, files, [], again=True)
        await stopped.go(jobs=1)
    assert [result.outcome for result in stopped.results()] == ["not_tried"] * 4
    assert "TRIPOD_TOKEN" in str(stopped.results()[0].detail)


async def test_a_media_that_was_deleted_does_not_keep_its_file_away(tmp_path: Path) -> None:
    uploads = Uploads(410)
    async with serving(*taking(uploads)) as client:
        run = run_of(client, write(tmp_path, a=b"a"), [])
        await run.go(jobs=1)
    assert run.results()[0].outcome == "uploaded"
    keys = [key for key, _ in uploads.asked]
    assert [key.rsplit("-", 1)[1] for key in keys] == ["0", "1"]


async def test_a_catalog_that_is_down_keeps_no_file_away(tmp_path: Path) -> None:
    uploads = Uploads()

    async def down(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"detail": "down"}, status=503, headers={"Retry-After": "3600"})

    put, _ = taking(uploads)
    async with serving(put, web.get("/v1/media", down)) as client:
        run = run_of(client, write(tmp_path, a=b"a"), [])
        await run.go(jobs=1)
    assert run.results()[0].outcome == "uploaded"


async def test_a_cancelled_run_tells_what_became_of_each_file(tmp_path: Path) -> None:
    uploads, begun = Uploads(), asyncio.Event()

    async def stuck(request: web.Request) -> web.StreamResponse:
        if not uploads.stored:
            return await uploads.put(request)
        begun.set()
        return web.json_response({"detail": "later"}, status=503, headers={"Retry-After": "5"})

    _, listing = taking(uploads)
    async with serving(web.put("/v1/uploads/raw/{name}", stuck), listing) as client:
        run = run_of(client, write(tmp_path, a=b"a", b=b"b", c=b"c"), [])
        going = asyncio.create_task(run.go(jobs=1))
        await asyncio.wait_for(begun.wait(), 10)
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going
    assert [result.outcome for result in run.results()] == ["uploaded", "not_tried", "not_tried"]


async def test_what_a_cancelled_run_has_sent_whole_is_told_as_the_server_answers(tmp_path: Path) -> None:
    uploads, has_all, may_answer = Uploads(), asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        if request.content_length == 1:
            answer = await uploads.put(request)
            has_all.set()
            await may_answer.wait()
            return answer
        await has_all.wait()
        await request.content.readexactly(1)
        await asyncio.Event().wait()  # the body stays on its way
        raise AssertionError

    _, listing = taking(uploads)
    async with serving(web.put("/v1/uploads/raw/{name}", slow), listing) as client:
        files = write(tmp_path, a=b"a", b=bytes(16_000_000), c=b"")
        run = run_of(client, files, [])
        going = asyncio.create_task(run.go(jobs=2))
        await asyncio.wait_for(has_all.wait(), 10)
        going.cancel()
        asyncio.get_running_loop().call_later(0.05, may_answer.set)
        with pytest.raises(asyncio.CancelledError):
            await going
    assert [result.outcome for result in run.results()] == ["uploaded", "not_tried", "not_tried"]


async def test_no_server_is_told_with_its_address() -> None:
    async with connected(Server(url="http://127.0.0.1:9")) as client:
        with pytest.raises(Unreachable, match=r"http://127.0.0.1:9 is not reachable \(Connection refused\)"):
            await client.ask("GET", "/v1/media", patience=Patience(attempts=1))


async def test_a_page_that_is_no_problem_document_is_told_by_its_status() -> None:
    async def page(_request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>", status=403)

    async with serving(web.get("/v1/media", page)) as client:
        with pytest.raises(Refused, match="The server answers 403 Forbidden"):
            await client.ask("GET", "/v1/media")


class Downloads:
    """Gives DATA by ranges, and breaks off after so many bytes of each of the first answers."""

    def __init__(self, *cuts: int, ranges: bool = True) -> None:
        self.cuts = list(cuts)
        self.ranges = ranges
        self.starts: list[int] = []

    async def get(self, request: web.Request) -> web.StreamResponse:
        start = request.http_range.start or 0 if self.ranges else 0
        self.starts.append(start)
        answer = web.StreamResponse(status=206 if start else 200)
        answer.content_length = len(DATA) - start
        await answer.prepare(request)
        cut = self.cuts.pop(0) if self.cuts else None
        await answer.write(DATA[start:] if cut is None else DATA[start : start + cut])
        if cut is not None:
            assert request.transport is not None
            request.transport.close()
        return answer


WANTED = Wanted(path="/f", name="f", size=len(DATA), sha256=hashlib.sha256(DATA).hexdigest())


async def download(downloads: Downloads, target: Path, wanted: Wanted = WANTED) -> Tally:
    tally = Tally({"f": len(DATA)})
    part = Part(target)
    async with serving(web.get("/f", downloads.get)) as client:
        with part.opened(resume=wanted.sha256 is not None):
            await retrying(QUICK)(fetch, client, wanted, part, tally.meter("f"))
            part.finish(wanted)
    return tally


async def test_a_download_that_breaks_off_goes_on_where_it_ended(tmp_path: Path) -> None:
    downloads = Downloads(300_000, 300_000)
    tally = await download(downloads, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == DATA
    assert downloads.starts == [0, 300_000, 600_000]
    assert (tally.wire, tally.done) == (len(DATA), len(DATA))
    assert names(tmp_path) == ["f"]


async def test_a_download_goes_on_from_what_a_former_run_has_left(tmp_path: Path) -> None:
    (tmp_path / "f.part").write_bytes(DATA[:1_000_000])
    downloads = Downloads()
    tally = await download(downloads, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == DATA
    assert (downloads.starts, tally.wire) == ([1_000_000], len(DATA) - 1_000_000)


async def test_a_server_without_ranges_is_read_anew(tmp_path: Path) -> None:
    (tmp_path / "f.part").write_bytes(DATA[:1_000_000])
    await download(Downloads(ranges=False), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == DATA


async def test_bytes_that_are_not_those_that_were_promised_never_become_the_file(tmp_path: Path) -> None:
    other = Wanted(path="/f", name="f", size=len(DATA), sha256="0" * 64)
    with pytest.raises(Conflict, match="not what was asked for"):
        await download(Downloads(), tmp_path / "f", other)
    assert names(tmp_path) == []


async def test_live_events_go_on_after_a_lost_connection_and_no_creation_is_told_twice() -> None:
    connections = 0

    async def live(request: web.Request) -> web.StreamResponse:
        nonlocal connections
        connections += 1
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "media.created", "id": "a"})
        if connections > 1:
            await socket.send_json({"type": "media.updated", "id": "b"})
            await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"The token has expired.")
        return socket

    async def listed(_request: web.Request) -> web.StreamResponse:
        if connections == 2:
            return web.json_response({"detail": "down"}, status=503, headers={"Retry-After": "3600"})
        made = [{"id": name, "created_at": "2999-01-01T00:00:00Z"} for name in ("c", "a")]
        return web.json_response({"items": made, "next_cursor": None})

    heard: list[Event] = []
    noted: list[str] = []

    async def hear(client: Client) -> None:
        async for event in events(client, None, lambda error, _: noted.append(str(error))):
            heard.append(event)  # noqa: PERF401 -- what came before the error counts

    async with serving(web.get("/v1/live", live), web.get("/v1/media", listed)) as client:
        with pytest.raises(Unauthenticated, match="The token has expired"):
            await hear(client)
    assert [(event["type"], event.get("id")) for event in heard] == [
        ("media.created", "a"), ("resync", None), ("resync", None), ("media.created", "c"), ("media.updated", "b"),
    ]  # fmt: skip
    assert len(noted) == 2

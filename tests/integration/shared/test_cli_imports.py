"""`tripod import` over real connections to a server that misbehaves."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.cli.client import connected
from shared.cli.failures import Refused, Unreachable
from shared.cli.importing import progress
from shared.cli.importing.entities import Entities
from shared.cli.importing.folder import Folder
from shared.cli.importing.journal import Journal
from shared.cli.importing.progress import Progress
from shared.cli.importing.run import Plan, Run
from shared.cli.importing.sending import Wish
from shared.cli.retries import Patience
from shared.cli.server import Server
from shared.cli.tally import Tally
from shared.errors import TripodError

DATA = bytes(range(256)) * 4096  # 1 MiB


class Imports:
    """Takes rows as ingest does, after what `faults` has for each attempt: a status, or "cut"."""

    def __init__(self, *faults: int | str) -> None:
        self.faults = list(faults)
        self.keys: list[str] = []
        self.rows: list[dict[str, str]] = []
        self.forms: list[bytes] = []
        self.entities: dict[str, object] = {}
        self.there: list[str] = []
        self.gone: list[str] = []
        self.port: int | None = None

    async def media(self, request: web.Request) -> web.StreamResponse:
        self.keys.append(request.headers["Idempotency-Key"])
        fault = self.faults.pop(0) if self.faults else None
        if fault == "cut":
            await request.content.readany()
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if isinstance(fault, int):
            problem = {"detail": f"no: {fault}", "status": fault}
            return web.json_response(problem, status=fault, headers={"Retry-After": "0"})
        self.forms.append(await request.read())
        self.rows.append(dict(request.query))
        answer = {
            "id": str(uuid.UUID(int=int(request.query["number"]))),
            "public_id": "MED-1", "number": int(request.query["number"]), "profile": "library",
            "mime_type": "text/plain", "size": 3, "sha256": "0", "kept": {"number": True}, "url": "http://h",
        }  # fmt: skip
        return web.json_response(answer, status=201)

    async def known(self, request: web.Request) -> web.StreamResponse:
        asked = (await request.json())["ids"]
        return web.json_response(
            {
                name: [one for one in asked if one in has]
                for name, has in (("there", self.there), ("gone", self.gone))
            }
        )

    async def entity(self, request: web.Request) -> web.StreamResponse:
        if request.method == "PUT":
            self.entities[request.path] = await request.json()
        if request.path not in self.entities:
            return web.json_response({"detail": "there is none"}, status=404)
        return web.json_response({})


@asynccontextmanager
async def importing(server: Imports, tmp_path: Path, export: str, **plan: object) -> AsyncIterator[Run]:
    folder = tmp_path / "media"
    folder.mkdir(exist_ok=True)
    (folder / "a.txt").write_bytes(DATA)
    path = tmp_path / "export"
    path.write_text(export)
    app = web.Application(client_max_size=2**24)
    app.router.add_post("/v1/imports/media", server.media)
    app.router.add_post("/v1/imports/known", server.known)
    app.router.add_route("*", "/v1/entities/{type}/{id}", server.entity)
    async with TestServer(app, port=server.port) as running:
        server.port = running.port
        where = Server(url=str(running.make_url("")).rstrip("/"), token="t")
        with Journal(tmp_path / "journal", dialect="library", source="", url=where.url) as journal:
            async with connected(where) as client:
                yield Run(
                    client,
                    plan=Plan(dialect="library", export=path, encoding="utf-8", **plan),  # type: ignore[arg-type]
                    wish=Wish(
                        dialect="library", source="", patience=Patience(attempts=4, first=0.001, longest=5)
                    ),
                    folder=Folder(folder),
                    journal=journal,
                    entities=Entities(client, register=True),
                    say=lambda _line: None,
                )


ONE = "id,filename,file_path,user_id,caption\n5,a.txt,a.txt,7,=1+1\n"
MANY = "id,filename,file_path,user_id\n" + "".join(f"{n},a.txt,a.txt,7\n" for n in range(1, 13))


async def sent(run: Run, jobs: int = 1) -> tuple[TripodError | None, Progress]:
    survey = await run.survey()
    shown = Progress(survey.to_send, survey.bytes, None, lambda _line: None)
    return await run.go(jobs, shown), shown


async def test_a_row_is_sent_again_under_its_key_until_it_is_taken(tmp_path: Path) -> None:
    server = Imports(503, "cut", 429)
    async with importing(server, tmp_path, ONE) as run:
        stopped, shown = await sent(run)
    assert stopped is None
    assert (run.done, len(server.keys), len(set(server.keys))) == (1, 4, 1)
    (form,) = server.forms
    assert DATA in form
    assert b"=1+1" in form
    assert (shown.tally.files_done, shown.tally.done) == (1, len(DATA))


async def test_a_journal_is_believed_where_the_server_has_what_it_says_and_the_export_says_the_same(
    tmp_path: Path,
) -> None:
    server = Imports()
    async with importing(server, tmp_path, MANY) as run:
        await sent(run)
    first, deleted, *others = [str(uuid.UUID(int=n)) for n in range(1, 13)]
    server.there, server.gone, server.rows = (
        [first, *others[1:]],
        [deleted],
        [],
    )  # and the third was never there
    async with importing(server, tmp_path, MANY.replace("12,a.txt,a.txt,7", "12,b.txt,a.txt,7")) as run:
        survey = await run.survey()
        assert (survey.before, survey.to_send) == (9, 2)
        await run.go(1, Progress(2, 2, None, lambda _line: None))
        assert [(row.old_id, row.reason) for row in run._journal.failed()] == [("2", "deleted_since")]
    assert [row["old_id"] for row in server.rows] == ["3", "12"]


@pytest.mark.parametrize(
    ("fault", "error"), [(401, Refused), (403, Refused), (503, Refused), ("cut", Unreachable)]
)
async def test_what_every_further_row_would_meet_ends_the_run(
    tmp_path: Path, fault: int | str, error: type[TripodError]
) -> None:
    server = Imports(*[fault] * 40)
    async with importing(server, tmp_path, MANY) as run:
        stopped, _ = await sent(run, jobs=2)
    assert isinstance(stopped, error)
    assert run.done == 0
    assert len(server.keys) <= 8


async def test_a_fault_of_one_row_is_no_end(tmp_path: Path) -> None:
    server = Imports(422, 500, 413)
    async with importing(server, tmp_path, MANY) as run:
        stopped, shown = await sent(run)
    assert stopped is None
    assert (run.done, shown.tally.files_done) == (9, 12)


async def test_lines_tell_how_far_it_is_where_there_is_no_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_EVERY_SECONDS", 0.0)
    lines: list[str] = []
    async with importing(Imports(), tmp_path, MANY) as run:
        survey = await run.survey()
        await run.go(1, Progress(survey.to_send, survey.bytes, None, lines.append))
    assert len(lines) == 12
    assert lines[-1].startswith("12 of 12 rows (")
    assert "12.0 MiB of 12.0 MiB" in lines[-1]
    assert lines[-1].endswith("0:00:00 left")


class Drawn:
    """What is on the screen."""

    def __init__(self) -> None:
        self.bars: dict[str, int] = {}
        self.most = 0
        self.total = ""

    def begins(self, name: str, size: int) -> None:
        assert name not in self.bars
        assert size == len(DATA)
        self.bars[name] = 0
        self.most = max(self.most, len(self.bars))

    def moves(self, name: str, done: int) -> None:
        self.bars[name] = done

    def ends(self, name: str) -> None:
        self.bars.pop(name, None)

    def totals(self, tally: Tally) -> None:
        self.total = f"{tally.files_done} of {tally.files}, {tally.done} of {tally.planned}"


async def test_on_a_terminal_there_is_a_bar_for_each_row_under_way_and_none_is_left(tmp_path: Path) -> None:
    drawn = Drawn()
    async with importing(Imports(503, 503), tmp_path, MANY) as run:
        survey = await run.survey()
        await run.go(3, Progress(survey.to_send, survey.bytes, drawn, lambda _line: None))
    assert (drawn.bars, drawn.most) == ({}, 3)
    assert drawn.total == f"12 of 12, {12 * len(DATA)} of {12 * len(DATA)}"

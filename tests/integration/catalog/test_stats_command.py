"""`tripod stats` tells an operator what GET /v1/stats tells staff."""

import asyncio

import msgspec
import pytest
from click.testing import CliRunner, Result

from services.catalog.stats_command import command
from tests.integration.catalog import stories
from tests.integration.catalog.service import Service


@pytest.fixture
def environ(catalog: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPOD_DATABASE_URL", catalog.settings.database.url)
    monkeypatch.setenv("TRIPOD_BASE_URL", catalog.settings.http.base_url)


async def run(*arguments: str) -> Result:
    # The command has an event loop of its own.
    return await asyncio.to_thread(CliRunner().invoke, command, [*arguments])


@pytest.mark.usefixtures("environ")
async def test_an_operator_is_told_what_staff_is_told(catalog: Service) -> None:
    upload = await catalog.ready("ann", filename="sea\x1b[31m.jpg", entity=stories.link())
    await catalog.ready("bob", media_type="video")
    async with catalog.caller("ann") as ann:
        await ann.get(f"/v1/media/{upload.id}/download")
    async with catalog.caller("m", "moderator") as staff:
        whole = (await staff.get("/v1/stats")).json()
        anns = (await staff.get("/v1/stats", params={"owner": "ann"})).json()
        hung = (await staff.get("/v1/stats", params={"entity_type": "post", "entity_id": "1"})).status_code
    for arguments, told in (((), whole), (("--owner", "ann"), anns)):
        found = await run(*arguments, "--json")
        assert found.exit_code == 0, found.output
        answer = msgspec.json.decode(found.output)
        assert {**answer, "top_downloads": []} == {**told, "top_downloads": []}
    assert hung == 404  # nobody has registered it; an operator asks all the same
    entity = msgspec.json.decode((await run("--entity", "post/1", "--json")).output)
    assert entity["total"]["objects"] == 1
    table = (await run()).output
    assert "owner ann" in table
    assert "type video" in table
    assert "\x1b" not in table


@pytest.mark.usefixtures("environ")
@pytest.mark.parametrize("options", [("--entity", "post"), ("--entity", "post/1", "--owner", "ann")])
async def test_wrong_options_are_told(options: tuple[str, ...]) -> None:
    found = await run(*options)
    assert found.exit_code == 1
    assert "type/id" in found.output

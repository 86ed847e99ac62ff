"""What the catalog's commands say where they cannot do what was asked."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from services.catalog import counters, janitor_command, recount_command


def test_a_recount_beside_another_says_so_as_json_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def busy(_database: Any, *, repair: bool) -> None:
        assert repair
        raise counters.Busy

    monkeypatch.setattr(counters, "recount", busy)
    done = CliRunner().invoke(recount_command.command, ["--json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["problem"]["code"] == "conflict"
    assert "Another process counts" in done.stderr


@pytest.mark.parametrize("option", ["--grace", "--stale"])
def test_reconcile_refuses_more_seconds_than_there_are_dates_for(option: str) -> None:
    done = CliRunner().invoke(janitor_command.command, [option, "9" * 14])
    assert (done.exit_code, type(done.exception)) == (2, SystemExit)
    assert option in done.stderr

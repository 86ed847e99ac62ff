"""Failpoints: free when unarmed, exact when armed."""

import signal
import subprocess
import sys

import pytest

from shared import failpoints
from shared.errors import SettingsError


def test_an_unknown_step_stops_the_start_and_names_those_there_are() -> None:
    with pytest.raises(SettingsError, match=r"TRIPOD_FAILPOINT is 'ingest.nowhere:'.*ingest\.mid_body"):
        failpoints.arm({"TRIPOD_FAILPOINT": "ingest.nowhere"})


def test_without_the_variable_every_step_goes_on() -> None:
    failpoints.arm({})
    failpoints.reach("ingest.mid_body")


def test_an_armed_step_kills_the_process_at_its_time_and_not_before() -> None:
    code = (
        "from shared import failpoints as f; f.arm({'TRIPOD_FAILPOINT': 'catalog.before_relay:2'});"
        "f.reach('catalog.mid_erase'); f.reach('catalog.before_relay'); print('once', flush=True);"
        "f.reach('catalog.before_relay'); print('twice', flush=True)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout.splitlines()[-1] == "once"

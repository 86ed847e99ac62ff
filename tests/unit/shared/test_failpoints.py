"""Failpoints: free when unarmed, exact when armed."""

import os
import signal
import subprocess
import sys

import pytest

from shared import failpoints
from shared.errors import SettingsError


def test_an_unknown_step_stops_the_start_and_names_those_there_are() -> None:
    with pytest.raises(SettingsError, match=r"TRIPOD_FAILPOINT is 'ingest.nowhere'.*ingest\.mid_body"):
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


@pytest.mark.parametrize("value", ["ingest.mid_body:x", "ingest.mid_body:1:nap"])
def test_a_number_or_an_end_that_does_not_exist_stops_the_start(value: str) -> None:
    with pytest.raises(SettingsError, match=f"TRIPOD_FAILPOINT is '{value}'"):
        failpoints.arm({"TRIPOD_FAILPOINT": value})


def test_a_step_that_freezes_lets_the_process_go_on_when_somebody_says_so() -> None:
    code = (
        "from shared import failpoints as f; f.arm({'TRIPOD_FAILPOINT': 'processor.before_result:2:freeze'});"
        "f.reach('processor.before_result'); print('before', flush=True);"
        "f.reach('processor.before_result'); f.reach('processor.before_result'); print('after', flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as frozen:
        _, status = os.waitpid(frozen.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        frozen.send_signal(signal.SIGCONT)
        said, _ = frozen.communicate(timeout=20)
    assert frozen.returncode == 0
    assert said.splitlines()[-2:] == ["before", "after"]

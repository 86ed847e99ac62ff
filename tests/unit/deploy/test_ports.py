"""A port that was given to one process is given to no other while that lives, also while nobody listens there."""

import subprocess
import sys

import pytest

from deploy import ports
from deploy.errors import StackError
from deploy.services import PROJECT

OTHER = """
from deploy import ports
ports.LOWEST, ports.HIGHEST = {lowest}, {highest}
try:
    print(ports.free_port(set()))
except ports.StackError:
    print("none")
"""


def ask_another(lowest: int, highest: int) -> str:
    program = OTHER.format(lowest=lowest, highest=highest)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_two_processes_are_never_given_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = ports.free_port(set())
    assert ask_another(mine, mine) == "none"
    monkeypatch.setattr(ports, "LOWEST", mine)
    monkeypatch.setattr(ports, "HIGHEST", mine)
    with pytest.raises(StackError, match="no free port"):
        ports.free_port(set())


def test_the_ports_of_a_process_that_has_ended_are_given_again() -> None:
    given = int(ask_another(ports.LOWEST, ports.HIGHEST))
    assert ask_another(given, given) == str(given)

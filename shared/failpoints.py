"""Failpoints: named steps at which a process kills itself, so that tests can show that nothing is lost there.

TRIPOD_FAILPOINT=<name> kills at the first time that the step is reached, <name>:<n> at the n-th; <name>:<n>:freeze
stops the process there instead (SIGSTOP), until somebody lets it go on. Without the variable every step is free of cost
and effect.
"""

import os
import signal
from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

import structlog

from shared.env import Env

Step: TypeAlias = Literal[
    "ingest.after_intent",
    "ingest.mid_body",
    "ingest.mid_parts",
    "ingest.after_store",
    "ingest.before_publish",
    "ingest.after_ack",
    "ingest.before_answer",
    "processor.job_fetched",
    "processor.mid_decode",
    "processor.mid_variants",
    "processor.after_variants",
    "processor.before_result",
    "processor.before_ack",
    "catalog.after_commit",
    "catalog.before_relay",
    "catalog.after_relay",
    "catalog.mid_erase",
    "ingest.mid_erase",
    "processor.mid_erase",
]

log = structlog.get_logger()
_armed: dict[str, int] = {}
_ENDS = {"": signal.SIGKILL, "freeze": signal.SIGSTOP}
_end: list[signal.Signals] = [signal.SIGKILL]


def arm(environ: Mapping[str, str]) -> None:
    """Read TRIPOD_FAILPOINT once, at the start of a process. Raises SettingsError for a name that does not exist."""
    env = Env(environ)
    given = env.text("TRIPOD_FAILPOINT", "")
    name, _, rest = given.partition(":")
    if not name:
        return
    count, _, end = rest.partition(":")
    if name not in get_args(Step) or not (count or "1").isdigit() or end not in _ENDS:
        steps = ", ".join(get_args(Step))
        env.complain("TRIPOD_FAILPOINT", given, f"one of {steps}, with :n or without, or with :n:freeze")
    env.check()
    _armed[name] = int(count or 1)
    _end[0] = _ENDS[end]
    log.warning("failpoint.armed", step=name, time=_armed[name], end=_end[0].name)


def reach(step: Step) -> None:
    """Die here by SIGKILL, as in a power loss, when this step is armed and its time has come."""
    if not _armed or step not in _armed:
        return
    _armed[step] -= 1
    if _armed[step] <= 0:
        del _armed[step]  # who wakes up goes on
        os.kill(os.getpid(), _end[0])

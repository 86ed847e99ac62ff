"""Failpoints: named steps at which a process kills itself, so that tests can show that nothing is lost there.

TRIPOD_FAILPOINT=<name> kills at the first time that the step is reached, <name>:<n> at the n-th. Without the
variable every step is free of cost and effect.
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


def arm(environ: Mapping[str, str]) -> None:
    """Read TRIPOD_FAILPOINT once, at the start of a process. Raises SettingsError for a name that does not exist."""
    env = Env(environ)
    name, _, count = env.text("TRIPOD_FAILPOINT", "").partition(":")
    if not name:
        return
    if name not in get_args(Step) or not (count or "1").isdigit():
        env.complain(
            "TRIPOD_FAILPOINT", f"{name}:{count}", f"one of {', '.join(get_args(Step))}, with :n or without"
        )
    env.check()
    _armed[name] = int(count or 1)
    log.warning("failpoint.armed", step=name, time=_armed[name])


def reach(step: Step) -> None:
    """Die here by SIGKILL, as in a power loss, when this step is armed and its time has come."""
    if not _armed or step not in _armed:
        return
    _armed[step] -= 1
    if _armed[step] <= 0:
        os.kill(os.getpid(), signal.SIGKILL)

"""Killing parts of a stack, arming failpoints, and looking at what is left."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from click.testing import CliRunner, Result

from deploy.config import ANY_PORTS, StackConfig
from deploy.servers import s3
from deploy.services import environment, inherited
from deploy.stack import EmbeddedStack
from shared.cli import main
from tests.faults.load import Acknowledged
from tests.fixtures.waiting import eventually

# Everything that waits for the death of another to be certain waits short.
HURRY = {
    "TRIPOD_INGEST_LEASE": "2",
    "TRIPOD_INGEST_SWEEP": "0.5",
    "TRIPOD_NATS_ACK_WAIT": "2",
    "TRIPOD_NATS_RECONNECT_WAIT": "0.2",
    "TRIPOD_LOG_LEVEL": "info",
}
FINAL_SECONDS = 60.0


def config(folder: Path, *, durable: bool = False, **more: str) -> StackConfig:
    """A stack of one process for each part, in a hurry."""
    return StackConfig(data=folder, ports=ANY_PORTS, separate=True, durable=durable, environment=HURRY | more)


@contextmanager
def armed(stack: EmbeddedStack, *steps: str) -> Iterator[Callable[[], None]]:
    """Start the service of each step with its failpoint. What it gives waits for their deaths, and starts them again
    without; it is called at the end at the latest."""
    parts = {step.split(".")[0]: step for step in steps}
    assert len(parts) == len(steps), "one failpoint for a service at a time"

    def revive() -> None:
        for part, step in parts.items():
            died(stack, part, step)
        again()

    def again() -> None:
        for part in parts:
            stack.stop(part, signal.SIGKILL)
            arm(stack, part, "")
        for part in parts:
            stack.start(part)
        parts.clear()

    with ThreadPoolExecutor(max_workers=1) as spawner:  # its children die with it; those of revive() do not
        for part, step in parts.items():
            stack.stop(part, signal.SIGKILL)
            arm(stack, part, step)
            stack.children[part].start(spawner)
        try:
            yield revive
            revive()
        finally:
            again()


def arm(stack: EmbeddedStack, part: str, step: str) -> None:
    """For the next start of that part; an empty step disarms it."""
    child = stack.child(part)
    child.spec = msgspec.structs.replace(child.spec, env={**child.spec.env, "TRIPOD_FAILPOINT": step})


def died(stack: EmbeddedStack, part: str, step: str, seconds: float = 30) -> None:
    """Return when the part has killed itself there."""
    child = stack.children[part]
    eventually(lambda: not child.alive, f"{part} to die at {step}", seconds)
    code = child.process.returncode if child.process else None
    assert code == -signal.SIGKILL, f"{part} ended with {code} instead of dying at {step}: {child.tail()}"


def kill(stack: EmbeddedStack, part: str) -> None:
    """kill -9, and start it again at once."""
    stack.stop(part, signal.SIGKILL)
    stack.start(part)


def ready(stack: EmbeddedStack, seconds: float = 60) -> None:
    """Return when every part says that it can work."""

    def look() -> bool:
        try:
            return httpx.get(f"{stack.origin_url}/health/ready", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    eventually(look, "the stack to be ready", seconds)


def tripod(stack: EmbeddedStack, *arguments: str) -> Result:
    """The command line, with the environment that an operator of this stack has; it is asked often, and a process of
    its own would spend most of its time on its start."""
    return CliRunner().invoke(main, arguments, env=inherited() | environment(stack))


def verify(stack: EmbeddedStack, ledger: Path, *options: str) -> dict[str, Any]:
    """The report of `tripod verify`."""
    done = tripod(stack, "verify", "--ledger", str(ledger), "--json", *options)
    assert done.stdout, (done.stderr, done.exception)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def reconcile(stack: EmbeddedStack) -> dict[str, Any]:
    """The report of `tripod reconcile` that spares nothing for being young: nothing is under way."""
    done = tripod(stack, "reconcile", "--grace", "0", "--json")
    assert done.exit_code == 0, (done.stderr, done.exception)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def recounted(stack: EmbeddedStack) -> list[dict[str, Any]]:
    """Where `tripod recount` finds the statistics differ from the rows: nowhere, whatever has happened."""
    done = tripod(stack, "recount", "--dry-run", "--json")
    assert done.stdout, (done.stderr, done.exception)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert done.exit_code == (1 if found else 0), (done.exit_code, found)
    return found


WAITED_FOR = {"final", "outbox", "intent", "erased", "projected"}
"""Findings that a system which is not yet at rest has; all others are never right."""


def settled(
    stack: EmbeddedStack, ledger: Acknowledged, folder: Path, seconds: float = FINAL_SECONDS
) -> dict[str, Any]:
    """The report once nothing is under way any more; it may still have findings of other kinds."""
    path = ledger.write(folder / "ledger.jsonl")
    found = [verify(stack, path, "--complete", "--deep")]
    if found[0]["ok"]:
        return found[0]
    # Else it may have looked at one part before and at another after something came to its end.

    def look() -> bool:
        found[0] = verify(stack, path, "--complete")
        return at_rest(found[0])

    try:
        eventually(look, "the system to come to rest", seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}: {found[0]['findings'][:10]}") from error
    return verify(stack, path, "--complete", "--deep")


def at_rest(report: dict[str, Any]) -> bool:
    return not {finding["check"] for finding in report["findings"]} & WAITED_FOR


def assert_whole(
    stack: EmbeddedStack, ledger: Acknowledged, folder: Path, seconds: float = FINAL_SECONDS
) -> dict[str, Any]:
    """Nothing is lost, nothing is there twice, all is final; one run of the janitor leaves no orphan, and the
    statistics are those of the rows."""
    report = settled(stack, ledger, folder, seconds)
    only_orphans = {finding["check"] for finding in report["findings"]} <= {"orphan"}
    assert only_orphans, report["findings"]
    if report["findings"]:
        reconcile(stack)
        report = verify(stack, folder / "ledger.jsonl", "--complete", "--deep")
    assert report["ok"], report["findings"]
    assert report["counts"]["lines of the ledger"] == len(ledger)
    assert recounted(stack) == []
    assert_hidden(stack)
    eventually(lambda: not drafts(stack), "the store to keep nothing half-way")
    return report


def drafts(stack: EmbeddedStack) -> list[str]:
    """What the store keeps of uploads that are not finished, on its disk, where no listing can hide it."""
    root = stack.folder.media
    files = [
        str(Path(parent, name).relative_to(root)) for parent, _, names in os.walk(root) for name in names
    ]
    return [name for name in files if s3.DRAFT in name or name.startswith(".minio.sys/multipart/")]


def assert_hidden(stack: EmbeddedStack) -> None:
    """I6 as a stranger meets it: the list shows nothing that was not made public."""
    headers = {"Authorization": f"Bearer {stack.token('a stranger')}"}
    answer = httpx.get(f"{stack.origin_url}/v1/media?limit=100", headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    assert all(media["is_public"] for media in answer.json()["items"])

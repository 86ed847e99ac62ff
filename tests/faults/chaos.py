"""`make chaos SEED=1 UPLOADS=2000`: clients upload while parts are killed, then everything is counted.

The seed decides what is uploaded, which parts die after how many acknowledged uploads, and for how long they stay
away: the same seed gives the same kills of the same parts in the same order. The plan is printed first, `--json FILE`
keeps it with what came of it. Exit status 1 when anything was lost, doubled, left over or not finished.
"""

import signal
import sys
import tempfile
import time
from collections import Counter
from itertools import zip_longest
from pathlib import Path
from typing import Any

import click
import msgspec

from deploy.stack import EmbeddedStack
from tests.faults.control import config, drafts, ready, reconcile, recounted, settled, verify
from tests.faults.load import Acknowledged, Load
from tests.faults.schedule import Part, Strike, planned

DELETED = 0.1  # of what was uploaded, as soon as it is listed
SERVERS_FIRST: tuple[Part, ...] = ("postgres", "nats", "s3", "catalog", "processor", "ingest", "origin")
LARGE = 40  # one in so many uploads goes in parts
MOST_SECONDS = 300.0  # between two strikes


class Run(msgspec.Struct, kw_only=True):
    """What was to happen, and what did."""

    seed: int
    uploads: int
    plan: tuple[Strike, ...]
    kills: Counter[str] = Counter()
    seconds: float = 0
    acknowledged: int = 0
    retries: int = 0
    slowest: float = 0
    orphans_before: int = 0
    findings: list[dict[str, Any]] = []
    counts: dict[str, int] = {}


def strike(stack: EmbeddedStack, blow: Strike) -> None:
    """One blow, and the way back up."""
    for part in blow.parts:
        stack.stop(part, signal.SIGKILL)
    time.sleep(blow.away)
    for part in sorted(blow.parts, key=SERVERS_FIRST.index):
        stack.start(part)


def run(folder: Path, *, seed: int, uploads: int, clients: int) -> Run:
    """The whole story on an empty stack."""
    ledger, done = Acknowledged(), Run(seed=seed, uploads=uploads, plan=planned(seed, uploads))
    with EmbeddedStack(config(folder / "data", durable=True)) as stack:
        ready(stack)
        started = time.monotonic()
        with Load(
            stack.origin_url,
            stack.token("loader"),
            ledger,
            total=uploads,
            clients=clients,
            seed=seed,
            wait=0.05,
            deleted=DELETED,
            large=LARGE,
        ) as load:
            for number, (blow, following) in enumerate(zip_longest(done.plan, done.plan[1:]), 1):
                # No client runs ahead of a blow: it falls among uploads, however fast the machine is.
                load.allowed = blow.after + clients
                load.reached(blow.after, MOST_SECONDS)
                load.allowed = following.after + clients if following else uploads
                say(f"{len(ledger)} of {uploads} acknowledged; strike {number}: {' and '.join(blow.parts)}")
                strike(stack, blow)
                done.kills.update(blow.parts)
        ready(stack)
        done.seconds, done.acknowledged = time.monotonic() - started, len(ledger)
        done.retries, done.slowest = ledger.retries, ledger.slowest
        before = settled(stack, ledger, folder, seconds=600)
        done.orphans_before = sum(found["check"] == "orphan" for found in before["findings"])
        reconcile(stack)
        after = verify(stack, folder / "ledger.jsonl", "--complete", "--deep")
        half_way = [{"check": "draft", "subject": name} for name in drafts(stack)]
        off = [{"check": "recount", "subject": str(one)} for one in recounted(stack)]
        done.findings, done.counts = after["findings"] + half_way + off, after["counts"]
    return done


def say(line: str) -> None:
    """Also where the output is a file that somebody watches."""
    print(line, flush=True)  # noqa: T201


@click.command()
@click.option("--seed", default=1, show_default=True, help="The same seed, the same kills.")
@click.option("--uploads", default=2000, show_default=True)
@click.option("--clients", default=6, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="Folder for data and logs that stay behind.")
@click.option(
    "--json",
    "json_",
    type=click.Path(path_type=Path),
    help="File that the plan and the outcome are written to.",
)
def main(*, seed: int, uploads: int, clients: int, keep: Path | None, json_: Path | None) -> None:
    """Kill by plan under load; count what is left."""
    for number, blow in enumerate(planned(seed, uploads), 1):
        say(f"{number}: after {blow.after} uploads {' and '.join(blow.parts)}, away for {blow.away:g} s")
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        where = keep or Path(folder)
        where.mkdir(parents=True, exist_ok=True)
        done = run(where, seed=seed, uploads=uploads, clients=clients)
    written = msgspec.json.format(msgspec.json.encode(done))
    if json_ is not None:
        json_.write_bytes(written)
    else:
        click.echo(written)
    say(
        f"{done.acknowledged} acknowledged, {done.kills.total()} kills in {done.seconds:.0f} s, "
        f"{len(done.findings)} findings"
    )
    sys.exit(1 if done.findings else 0)


if __name__ == "__main__":
    main()

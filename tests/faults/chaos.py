"""`make chaos SEED=1 UPLOADS=2000`: clients upload while parts are killed at random, then everything is counted.

The seed decides what is uploaded, which part dies, for how long it stays away and when the next one does; the same
seed gives the same order of kills. Exit status 1 when anything was lost, doubled, left over or not finished.
"""

import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click
import msgspec

from deploy.stack import EmbeddedStack
from tests.faults.control import config, ready, reconcile, settled, verify
from tests.faults.load import Acknowledged, Load

VICTIMS = ("ingest", "processor", "catalog", "nats", "postgres", "s3", "origin")
DELETED = 0.1  # of what was uploaded, as soon as it is listed
SERVERS_FIRST = ("postgres", "nats", "s3", "catalog", "processor", "ingest", "origin")


class Run(msgspec.Struct, kw_only=True):
    """What happened, for the report."""

    seed: int
    uploads: int
    kills: Counter[str]
    seconds: float = 0
    retries: int = 0
    slowest: float = 0
    orphans_before: int = 0
    findings: list[dict[str, Any]] = []
    counts: dict[str, int] = {}


class Reaper:
    """Kills parts, one or two at a time, and lets them come back; the dice alone decide."""

    def __init__(self, stack: EmbeddedStack, seed: int) -> None:
        self.stack = stack
        self.dice = random.Random(seed)
        self.kills: Counter[str] = Counter()

    def strike(self) -> None:
        """One blow, and the way back up."""
        dying = self.dice.sample(VICTIMS, k=2 if self.dice.random() < 0.25 else 1)
        away = self.dice.uniform(0, 1.5)
        for part in dying:
            self.stack.stop(part, signal.SIGKILL)
            self.kills[part] += 1
        time.sleep(away)
        for part in sorted(dying, key=SERVERS_FIRST.index):
            self.stack.start(part)
        time.sleep(self.dice.uniform(0, 2))


def run(folder: Path, *, seed: int, uploads: int, clients: int) -> Run:
    """The whole story on an empty stack."""
    ledger = Acknowledged()
    with EmbeddedStack(config(folder / "data", durable=True)) as stack:
        ready(stack)
        started, reaper = time.monotonic(), Reaper(stack, seed)
        with Load(
            stack.origin_url,
            stack.token("loader"),
            ledger,
            total=uploads,
            clients=clients,
            seed=seed,
            wait=0.05,
            deleted=DELETED,
        ) as load:
            while not load.over:
                reaper.strike()
                print(f"{len(ledger)} of {uploads} acknowledged, {reaper.kills.total()} kills", flush=True)  # noqa: T201
        ready(stack)
        done = Run(
            seed=seed,
            uploads=uploads,
            kills=reaper.kills,
            seconds=time.monotonic() - started,
            retries=ledger.retries,
            slowest=ledger.slowest,
        )
        before = settled(stack, ledger, folder, seconds=600)
        done.orphans_before = sum(found["check"] == "orphan" for found in before["findings"])
        reconcile(stack)
        after = verify(stack, folder / "ledger.jsonl", "--complete", "--deep")
        done.findings, done.counts = after["findings"], after["counts"]
    return done


@click.command()
@click.option("--seed", default=1, show_default=True, help="The same seed, the same kills.")
@click.option("--uploads", default=2000, show_default=True)
@click.option("--clients", default=6, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="Folder for data and logs that stay behind.")
def main(*, seed: int, uploads: int, clients: int, keep: Path | None) -> None:
    """Kill at random under load; count what is left."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        where = keep or Path(folder)
        where.mkdir(parents=True, exist_ok=True)
        done = run(where, seed=seed, uploads=uploads, clients=clients)
    click.echo(msgspec.json.format(msgspec.json.encode(done)).decode())
    sys.exit(1 if done.findings else 0)


if __name__ == "__main__":
    main()

"""Which parts die when: a pure function of the seed, counted in acknowledged uploads instead of in seconds."""

import random
from typing import Literal, TypeAlias, get_args

import msgspec

Part: TypeAlias = Literal["ingest", "processor", "catalog", "nats", "postgres", "s3", "origin"]

PARTS: tuple[Part, ...] = get_args(Part)
GAP = (3, 25)  # acknowledged uploads between two strikes
AWAY = (0.0, 1.5)  # seconds
TOGETHER = 0.25  # how likely two parts die at once


class Strike(msgspec.Struct, frozen=True, kw_only=True):
    """`parts` die by SIGKILL as soon as `after` uploads are acknowledged, and come back `away` seconds later."""

    after: int
    parts: tuple[Part, ...]
    away: float


def planned(seed: int, uploads: int) -> tuple[Strike, ...]:
    """Every strike of a run, in order; a longer run of the same seed begins with the same ones."""
    dice = random.Random(seed)
    strikes: list[Strike] = []
    after = 0
    while (after := after + dice.randint(*GAP)) < uploads:
        parts = dice.sample(PARTS, k=2 if dice.random() < TOGETHER else 1)
        strikes.append(Strike(after=after, parts=tuple(parts), away=round(dice.uniform(*AWAY), 2)))
    return tuple(strikes)

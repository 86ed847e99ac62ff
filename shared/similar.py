"""Pictures that look alike: the answer that callers get, and what the catalog is asked for it over the broker."""

from typing import Literal, TypeAlias

import msgspec

from shared.auth import Caller
from shared.media import Media
from shared.turns import Transform

MOST_BITS = 10
"""The farthest that anything is said to look alike, of 64."""
Label: TypeAlias = Literal["identical", "very_similar", "similar"]


def label(distance: int) -> Label:
    """0 identical, 1 to 5 very similar, from 6 on similar."""
    if distance == 0:
        return "identical"
    return "very_similar" if distance <= 5 else "similar"


class Neighbour(msgspec.Struct, frozen=True, kw_only=True):
    """A media that looks alike; `distance` is in bits of the perceptual hash. `transform`: how it lies beside the
    picture that was asked for, mirrored left to right and then turned clockwise."""

    distance: int
    label: Label
    transform: Transform = "none"
    media: Media


class Neighbours(msgspec.Struct, frozen=True, kw_only=True):
    """What looks like one picture, nearest first. `searched`: the ways to lie that were looked for; of a picture whose
    turns were not computed when it was processed, only its own, until it is processed again."""

    items: list[Neighbour]
    searched: tuple[Transform, ...] = ("none",)


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One hash to compare with, and which way of lying it stands for."""

    transform: Transform
    phash: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What of all that the caller may see looks like this? At most `limit`, nearest first."""

    caller: Caller
    looks: tuple[Look, ...]
    max_distance: int
    limit: int

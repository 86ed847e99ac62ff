"""How a copy of a picture may lie beside it: turned by quarters, mirrored, or both."""

from typing import Literal, TypeAlias, get_args

Turn: TypeAlias = Literal[
    "rotated_90", "rotated_180", "rotated_270",
    "mirrored", "mirrored_rotated_90", "mirrored_rotated_180", "mirrored_rotated_270",
]  # fmt: skip
Transform: TypeAlias = Literal["none"] | Turn
Tolerance: TypeAlias = Literal["mirror", "rotate"]
TURNS: tuple[Turn, ...] = get_args(Turn)
"""Mirrored left to right first, then turned clockwise. Events carry hashes in this order: it stays."""
_ALONE = frozenset({"mirrored", "mirrored_rotated_180"})


def tolerated(tolerance: frozenset[Tolerance]) -> tuple[Turn, ...]:
    """What is looked for: quarter turns for `rotate`, both mirrors for `mirror`, everything with both."""
    mirror, rotate = "mirror" in tolerance, "rotate" in tolerance
    return tuple(
        turn for turn in TURNS if (mirror or not turn.startswith("mirrored")) and (rotate or turn in _ALONE)
    )

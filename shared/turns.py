"""How a copy of a picture may lie beside it: turned by quarters, mirrored, or both."""

from typing import Literal, TypeAlias, get_args

from shared.errors import Invalid

Turn: TypeAlias = Literal[
    "rotated_90", "rotated_180", "rotated_270",
    "mirrored", "mirrored_rotated_90", "mirrored_rotated_180", "mirrored_rotated_270",
]  # fmt: skip
Transform: TypeAlias = Literal["none"] | Turn
Tolerance: TypeAlias = Literal["mirror", "rotate"]
TURNS: tuple[Turn, ...] = get_args(Turn)
"""Mirrored left to right first, then turned clockwise. Events carry hashes in this order: it stays."""
TRANSFORMS = (
    "Find copies that lie otherwise, too: `mirror` for mirrored ones, `rotate` for those turned by quarters, "
    "`mirror,rotate` for all eight ways to lie."
)
_WITHOUT_QUARTERS = frozenset({"mirrored", "mirrored_rotated_180"})


def tolerance(value: str) -> frozenset[Tolerance]:
    """What a parameter `transforms` asks for. Raises Invalid."""
    known: tuple[Tolerance, ...] = get_args(Tolerance)
    asked = {word.strip() for word in value.split(",")} - {""}
    if unknown := sorted(asked - set(known)):
        raise Invalid(
            f"transforms has {unknown[0][:40]!r}; allowed are {' and '.join(known)}, separated by a comma.",
            field="transforms",
        )
    return frozenset(one for one in known if one in asked)


def tolerated(asked: frozenset[Tolerance]) -> tuple[Turn, ...]:
    """What is looked for: quarter turns for `rotate`, both mirrors for `mirror`, everything with both."""
    mirror, rotate = "mirror" in asked, "rotate" in asked
    return tuple(
        turn
        for turn in TURNS
        if (mirror or not turn.startswith("mirrored")) and (rotate or turn in _WITHOUT_QUARTERS)
    )

"""The state of one job inside the child, handed from step to step."""

import mmap
from dataclasses import dataclass, field

from services.processor.embedded import Embedded
from services.processor.frames import Job, Variant
from services.processor.ladder import Ladder
from services.processor.program.programs import Programs
from services.processor.vips import Image
from shared.events.messages import Colour


@dataclass(slots=True)
class Fingerprint:
    """What makes a picture findable: 16 hex digits each (11 of colours), and whether it has too little to go by."""

    phash: str
    phash_turned: tuple[str, ...]
    dhash: str
    ahash: str
    colour_hash: str
    colours: tuple[Colour, ...]
    degenerate: bool
    placeholder: str


@dataclass(slots=True)
class Work:
    """`descriptor` and `view` are the same sealed bytes of the original: the codecs read one or the other.

    After decode: `image` is in memory as 8-bit sRGB, already shrunk to what the largest variant needs; `width`
    and `height` are the original's, which is `animated` where it has more frames than this one, and `plain` where a
    variant of its size would show the same and leave nothing out. After orient: the right way up, sides swapped where
    need be.
    """

    job: Job
    descriptor: int
    view: mmap.mmap
    step: str = "start"
    width: int = 0
    height: int = 0
    orientation: int = 1
    animated: bool = False
    plain: bool = False
    embedded: Embedded = field(default_factory=Embedded)
    image: Image = field(init=False)
    ladder: Ladder = field(init=False)
    fingerprint: Fingerprint = field(init=False)
    exif: dict[str, object] = field(default_factory=dict)
    taken_at: str | None = None
    variants: tuple[Variant, ...] = ()
    kept: tuple[str, ...] = ()
    warnings: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    programs: Programs | None = None

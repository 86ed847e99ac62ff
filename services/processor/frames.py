"""What the worker and a child say to each other: one job down, frames up. A child may be hostile, so all is typed."""

import struct
from typing import Any, TypeAlias

import msgspec

from services.processor.failures import Failure
from services.processor.program.operators import Program
from shared.events.messages import Colour, PictureLimits
from shared.recipes import Recipe
from shared.rendering import Rendering

HEADER = struct.Struct(">I")  # the length of the frame that follows, in bytes

# The wall clock runs on while a child that steps back gets no processor: 2 s of work took 66 s on a busy machine, and
# a timeout would fail what nothing is wrong with. What computes for ever meets the CPU limit.
PATIENCE = 4


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one file may cost, and what its profile asks of a picture: `least_side` and `most_side` in pixels.
    `memory_bytes` is address space beyond what the child starts with, `file_bytes` the length of each file that it
    writes."""

    memory_bytes: int = 2 * 1024 * 1024 * 1024  # the worst codec takes 19 bytes a pixel
    cpu_seconds: int = 60
    wall_seconds: float = 90
    pixels: int = 100_000_000
    output_bytes: int = 64 * 1024 * 1024
    file_bytes: int = 0
    least_side: int = 1
    most_side: int | None = None

    def within(self, asked: PictureLimits | None) -> "Limits":
        """These, with what a profile asks for; the lower number of pixels holds."""
        if asked is None:
            return self
        return msgspec.structs.replace(
            self,
            pixels=min(self.pixels, asked.max_pixels),
            least_side=asked.min_side,
            most_side=asked.max_side,
        )

    def stepping_back(self) -> "Limits":
        """These, for a job that others go before: more time by the wall clock, no more of anything else."""
        return msgspec.structs.replace(self, wall_seconds=self.wall_seconds * PATIENCE)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One file for one child; its bytes come as a file descriptor beside this. `background`: others go first where
    processors are short. `rendering`: somebody asked for this one picture, which is all that is made.
    `there`: the codes of variants that are stored already and need not be made. `film`: a video or sound, for which
    files to write come, too, one for each film or MP3 of the recipe; `threads` are how many it may use.
    `text_only`: of a document no picture, since a child broke down on it. `program`: who encodes, where the
    operator has named one."""

    media_id: str
    trace_id: str
    mime_type: str
    recipe: Recipe
    limits: Limits = Limits()
    background: bool = False
    rendering: Rendering | None = None
    there: tuple[str, ...] = ()
    film: bool = False
    threads: int = 1
    text_only: bool = False
    program: Program | None = None

    @property
    def is_sound(self) -> bool:
        return self.mime_type.startswith("audio/")


class StepDone(msgspec.Struct, frozen=True, kw_only=True, tag="step"):
    """A step is behind us; `percent` of the whole pipeline, `milliseconds` of this step."""

    step: str
    percent: int
    milliseconds: float
    trace_id: str


class Ahead(msgspec.Struct, frozen=True, kw_only=True, tag="ahead"):
    """In the middle of a long step: `percent` of the whole job, and in how many seconds it will be done, if known."""

    step: str
    percent: int
    eta: float | None


class Film(msgspec.Struct, frozen=True, kw_only=True):
    """A film of the recipe: `place` of the file it was written to among those that came with the job, None where it was
    there already."""

    name: str
    width: int
    height: int
    place: int | None


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag="finished"):
    """A film is whole; its file is not written to any more. Of a film of a ladder `playlist` tells its segments."""

    film: Film
    playlist: bytes = b""


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """A derived file; `spec` is the hash of its VariantSpec."""

    name: str
    mime_type: str
    width: int
    height: int
    spec: str
    body: bytes

    @property
    def size(self) -> int:
        return len(self.body)


class Result(msgspec.Struct, frozen=True, kw_only=True, tag="result"):
    """All that was derived. Sides in pixels after orientation, `timings` in milliseconds per step. `kept`: the codes of
    variants that were there and belong to the recipe. Of a video `duration` in seconds, `bitrate` in bits a second and
    `films`."""

    width: int
    height: int
    exif: dict[str, Any]
    taken_at: str | None
    phash: str
    phash_turned: tuple[str, ...] = ()
    dhash: str
    ahash: str | None = None
    colour_hash: str | None = None
    colours: tuple[Colour, ...] = ()
    degenerate: bool
    placeholder: str
    variants: tuple[Variant, ...]
    kept: tuple[str, ...] = ()
    warnings: tuple[str, ...]
    timings: dict[str, float]
    duration: float | None = None
    bitrate: int | None = None
    films: tuple[Film, ...] = ()


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """The pipeline ended with a verdict; `step` is where."""

    step: str
    failure: Failure


Frame: TypeAlias = StepDone | Ahead | Finished | Result | Failed

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


def pack(frame: Frame) -> bytes:
    """A frame with its length in front."""
    body = _encoder.encode(frame)
    return HEADER.pack(len(body)) + body


def unpack(body: bytes) -> Frame:
    """A frame without its length. Raises msgspec.MsgspecError for anything else."""
    return _decoder.decode(body)

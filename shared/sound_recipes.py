"""What is made of sound: MP3s and the waveform; the pictures of its cover a recipe names in the words for pictures."""

from typing import Any, ClassVar

import msgspec

from shared.film_recipes import MOST_FILMS, Hashed, none_where_false

KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
RATES = (32_000, 44_100, 48_000)


class SoundSpec(Hashed, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One MP3 of `kbits` kbit/s and `rate` Hz, constant, mono or stereo. A source that is that already is kept."""

    mime_type: ClassVar[str] = "audio/mpeg"
    extension: ClassVar[str] = "mp3"
    fragmented: ClassVar[bool] = False

    name: str = "mp3"
    kbits: int = 128
    rate: int = 44_100


class Waveform(Hashed, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Peaks as JSON, each of `samples_per_pixel` samples, or of twice, four times as many where there would be more
    than `most`. The picture of them, `<name>_png`, is `width` x `height`, in `colour` on nothing."""

    name: str = "waveform"
    samples_per_pixel: int = 256
    most: int = 65_536
    width: int = 1200
    height: int = 240
    colour: tuple[int, int, int] = (74, 108, 168)


class Sounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that is made of sound beside its cover."""

    mp3: tuple[SoundSpec, ...] = (SoundSpec(),)
    waveform: Waveform | None = Waveform()


def parse(table: Any) -> Sounds:
    """Sounds from the table of a recipe. Raises ValueError that says what is wrong and what is allowed."""
    try:
        sounds = msgspec.convert(none_where_false(table, "waveform"), Sounds)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    if len(sounds.mp3) > MOST_FILMS:
        raise ValueError(f"there are {len(sounds.mp3)} MP3s; at most {MOST_FILMS} are allowed")
    for sound in sounds.mp3:
        for field, value, allowed in (("kbits", sound.kbits, KBITS), ("rate", sound.rate, RATES)):
            if value not in allowed:
                listed = ", ".join(map(str, allowed))
                raise ValueError(f"{field} of MP3 {sound.name!r} is {value}; allowed is one of {listed}")
    if sounds.waveform is not None:
        _check(sounds.waveform)
    return sounds


def _check(waveform: Waveform) -> None:
    bounds = {
        "samples_per_pixel": (1, 65_536),
        "most": (16, 262_144),
        "width": (16, 8192),
        "height": (8, 2048),
    }
    for field, (least, most) in bounds.items():
        value = getattr(waveform, field)
        if not least <= value <= most:
            raise ValueError(f"{field} of the waveform is {value}; allowed is {least} to {most}")
    if not all(0 <= part <= 255 for part in waveform.colour):
        raise ValueError(f"colour of the waveform is {list(waveform.colour)}; allowed is three of 0 to 255")

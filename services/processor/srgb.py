"""Whether a colour profile says sRGB by its numbers: what it calls itself is a claim (ICC.1:2022)."""

import struct

_MOST_TAGS = 100
_MOST_POINTS = 4096
# X, Y and Z of each primary under D50, the white of all profiles.
_PRIMARIES = {
    b"rXYZ": (0.4360, 0.2225, 0.0139),
    b"gXYZ": (0.3851, 0.7169, 0.0971),
    b"bXYZ": (0.1431, 0.0606, 0.7141),
}
_CURVES = (b"rTRC", b"gTRC", b"bTRC")
# Where a profile has one of these, it is used instead of primaries and curves.
_TABLES = (b"A2B0", b"A2B1", b"D2B0", b"D2B1")
# Makers round differently; the nearest other spaces are some 0.02 off.
_PRIMARY_TOLERANCE = 0.003
# About two of 255 levels; a gamma of 2.2 is 8 levels off in the shadows.
_LEVEL_TOLERANCE = 0.008
_LEVELS = tuple(level / 16 for level in range(17))


def is_srgb(profile: bytes) -> bool:
    """Of primaries and curves alone, and both are those of sRGB but for rounding. Never raises."""
    if profile[16:24] != b"RGB XYZ ":
        return False
    try:
        tags = _tags(profile)
        if any(table in tags for table in _TABLES):
            return False
        return all(_near(tags[name], primary) for name, primary in _PRIMARIES.items()) and all(
            _has_srgb_levels(curve) for curve in {tags[name] for name in _CURVES}
        )
    except (struct.error, KeyError, ValueError, ArithmeticError):
        return False


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    tags = {}
    for index in range(min(count, _MOST_TAGS)):
        name, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * index)
        tags[name] = profile[offset : offset + min(size, 12 + 2 * _MOST_POINTS)]
    return tags


def _near(tag: bytes, primary: tuple[float, float, float]) -> bool:
    values = struct.unpack_from(">3i", tag, 8)
    return all(abs(v / 65536 - p) <= _PRIMARY_TOLERANCE for v, p in zip(values, primary, strict=True))


def _has_srgb_levels(tag: bytes) -> bool:
    return all(abs(_level(_light(tag, level)) - level) <= _LEVEL_TOLERANCE for level in _LEVELS)


def _level(light: float) -> float:
    """The sRGB level, 0 to 1, of so much light (IEC 61966-2-1)."""
    light = min(max(light, 0.0), 1.0)
    return float(12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055)


def light_of_level(level: float) -> float:
    """The other way round: how much light an sRGB level gives, both 0 to 1."""
    return float(level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4)


def _light(tag: bytes, level: float) -> float:
    """How much light a curve gives a level. Raises ValueError for a form that sRGB has no use for."""
    if tag[:4] == b"para":
        return _of_formula(tag, level)
    if tag[:4] != b"curv":
        raise ValueError(f"no curve: {tag[:4]!r}")
    (count,) = struct.unpack_from(">I", tag, 8)
    if not 2 <= count <= _MOST_POINTS:
        raise ValueError(f"a curve of {count} points")
    below = min(int(level * (count - 1)), count - 2)
    low, high = struct.unpack_from(">2H", tag, 12 + 2 * below)
    return float(low + (high - low) * (level * (count - 1) - below)) / 65535


def _of_formula(tag: bytes, level: float) -> float:
    (kind,) = struct.unpack_from(">H", tag, 8)
    if kind not in {3, 4}:
        raise ValueError(f"a formula of type {kind}")
    numbers = [n / 65536 for n in struct.unpack_from(">5i" if kind == 3 else ">7i", tag, 12)]
    gamma, a, b, c, d = numbers[:5]
    above, below = numbers[5:] or (0.0, 0.0)
    return float(max(a * level + b, 0.0) ** gamma + above if level >= d else c * level + below)

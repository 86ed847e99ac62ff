"""Ultra HDR as Tripod writes it: a JPEG, and behind it a small one, the gain map, that says how much brighter each
part can be shown. It carries the numbers that this takes and nothing else (ISO 21496-1, Adobe's hdrgm, CIPA DC-007)."""

import struct

import msgspec

ISO = b"urn:iso:std:iso:ts:21496:-1\0"
XMP = b"http://ns.adobe.com/xap/1.0/\0"
MPF = b"MPF\0"

_SOI, _JFIF, _APP1, _APP2 = b"\xff\xd8", b"\xff\xe0", b"\xff\xe1", b"\xff\xe2"
_EACH_CHANNEL, _SPACE_OF_THE_PICTURE, _BACKWARDS, _ONE_DENOMINATOR = 0x80, 0x40, 0x04, 0x08
_PARTS = 1_000_000  # a number is written as so many of these, in XMP as six decimals: both say the same
_MOST_LOG = 16.0  # 65,536 times as bright; the brightest displays show some 16 times
_MOST_GAMMA = 100.0
_PRIMARY = 0x030000


class UnusableNumbers(ValueError):
    """They contradict each other, are out of all bounds, or mean something that cannot be kept."""


class Gains(msgspec.Struct, frozen=True, kw_only=True):
    """What the levels of a gain map mean; each one number for all channels, or three. `least`, `most` and the headrooms
    `low` and `high`, from and up to which a display shows more, are logarithms to the base 2."""

    least: tuple[float, ...]
    most: tuple[float, ...]
    gamma: tuple[float, ...]
    offset_sdr: tuple[float, ...]
    offset_hdr: tuple[float, ...]
    low: float
    high: float

    def check(self) -> None:
        """Raises UnusableNumbers. What is no number is out of bounds, too."""
        bounded = (
            *(("gain", value, -_MOST_LOG, _MOST_LOG) for value in (*self.least, *self.most)),
            *(("gamma", value, 1 / _MOST_GAMMA, _MOST_GAMMA) for value in self.gamma),
            *(("offset", value, 0.0, 1.0) for value in (*self.offset_sdr, *self.offset_hdr)),
            *(("headroom", value, 0.0, _MOST_LOG) for value in (self.low, self.high)),
        )
        for name, value, lowest, highest in bounded:
            if not lowest <= value <= highest:
                raise UnusableNumbers(f"the {name} is {value:g}, and not {lowest:g} to {highest:g}")
        if len({*map(len, self.channels)} | {1, 3}) > 2:
            raise UnusableNumbers("a number is neither for one channel nor for three")
        told = _rounded(self)  # what differs by less than can be written is the same for those who read it
        pairs = zip(_spread(told.least), _spread(told.most), strict=True)
        if any(low > high for low, high in pairs) or told.low >= told.high:
            raise UnusableNumbers("a highest value is below the lowest")

    @property
    def channels(self) -> tuple[tuple[float, ...], ...]:
        """In the order in which ISO 21496-1 has them."""
        return self.least, self.most, self.gamma, self.offset_sdr, self.offset_hdr


def _spread(values: tuple[float, ...]) -> tuple[float, ...]:
    return values if len(values) == 3 else values[:1] * 3


def written(picture: bytes, gain_map: bytes, gains: Gains) -> bytes:
    """Both JPEGs in one file; readers that know nothing of gain maps see `picture`, whose pixels are untouched."""
    gains = _rounded(gains)
    second = _with_segments(
        gain_map, _segment(_APP2, ISO + _iso(gains)), _segment(_APP1, XMP + _numbers(gains))
    )
    first = (_segment(_APP1, XMP + _contents(len(second))), _segment(_APP2, ISO + bytes(4)))
    # From the position within its own segment that the offsets of the list are counted from.
    length = len(picture) + sum(map(len, first)) + len(_index(0, 0, 0))
    counted_from = _behind_jfif(picture) + sum(map(len, first)) + 4 + len(MPF)
    return _with_segments(picture, *first, _index(length, len(second), length - counted_from)) + second


def taken_apart(data: bytes) -> tuple[bytes, bytes] | None:
    """Picture and gain map as they were before `written`; None for every other file. What this finds carries nothing
    beside the two and the numbers."""
    try:
        return _taken_apart(data)
    except (struct.error, UnusableNumbers):
        return None


def _taken_apart(data: bytes) -> tuple[bytes, bytes] | None:
    index = data.find(_APP2 + struct.pack(">H", 88) + MPF)
    start = _behind_jfif(data)
    if index < start:
        return None
    length, size = struct.unpack_from(">I12xI", data, index + 8 + 50 + 4)
    first, second = data[:length], data[length:]
    if len(second) != size or second[:2] != _SOI:
        return None
    inner = _behind_jfif(second)
    kind, block = struct.unpack_from(">2sH", second, inner)
    gains = read_iso(second[inner + 4 + len(ISO) : inner + 2 + block])
    gain_map = _without(second, inner, 2 + block + len(_segment(_APP1, XMP + _numbers(gains))))
    picture = _without(first, start, index + len(_index(0, 0, 0)) - start)
    return (picture, gain_map) if kind == _APP2 and written(picture, gain_map, gains) == data else None


def _without(data: bytes, start: int, count: int) -> bytes:
    return data[:start] + data[start + count :]


def _behind_jfif(data: bytes) -> int:
    return 4 + int.from_bytes(data[4:6]) if data[2:4] == _JFIF else 2


def _segment(marker: bytes, body: bytes) -> bytes:
    return marker + struct.pack(">H", 2 + len(body)) + body


def _with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    start = _behind_jfif(jpeg)
    return jpeg[:start] + b"".join(segments) + jpeg[start:]


def _index(first: int, second: int, offset: int) -> bytes:
    """The list of both pictures, sizes and offset in bytes."""
    listed = (
        0xB000,
        7,
        4,
        b"0100",
        0xB001,
        4,
        1,
        2,
        0xB002,
        7,
        32,
        50,
        0,
    )  # version, count, and where the list is
    head = struct.pack(">4sIHHHI4sHHIIHHIII", b"MM\0*", 8, 3, *listed)
    return _segment(_APP2, MPF + head + struct.pack(">3I4x3I4x", _PRIMARY, first, 0, 0, second, offset))


def _iso(gains: Gains) -> bytes:
    each = any(len({*values}) > 1 for values in gains.channels)
    flags = _SPACE_OF_THE_PICTURE | (_EACH_CHANNEL if each else 0)
    packed = struct.pack(">HHB4I", 0, 0, flags, _whole(gains.low), _PARTS, _whole(gains.high), _PARTS)
    for channel in range(3 if each else 1):
        for values, form in zip(gains.channels, "iiIii", strict=True):
            packed += struct.pack(f">{form}I", _whole(_spread(values)[channel]), _PARTS)
    return packed


def _whole(value: float) -> int:
    return round(value * _PARTS)


def _rounded(gains: Gains) -> Gains:
    """As both ways of writing have them, zeros without a sign."""
    least, most, gamma, sdr, hdr = (
        tuple(_whole(value) / _PARTS for value in values) for values in gains.channels
    )
    low, high = (_whole(value) / _PARTS for value in (gains.low, gains.high))
    return Gains(least=least, most=most, gamma=gamma, offset_sdr=sdr, offset_hdr=hdr, low=low, high=high)


def read_iso(block: bytes) -> Gains:
    """The numbers as ISO 21496-1 has them, behind its name. Raises UnusableNumbers."""
    try:
        return _read_iso(block)
    except (struct.error, ZeroDivisionError) as error:
        raise UnusableNumbers(f"they are not written as they should be: {error}") from error


def _read_iso(block: bytes) -> Gains:
    least_version, _, flags = struct.unpack_from(">HHB", block)
    if least_version or flags & _BACKWARDS:
        raise UnusableNumbers("the picture is the bright one, or of a later version of the standard")
    if not flags & _SPACE_OF_THE_PICTURE:
        raise UnusableNumbers("the gains are those of another colour space than the picture's")
    channels = 3 if flags & _EACH_CHANNEL else 1
    if flags & _ONE_DENOMINATOR:
        (parts,) = struct.unpack_from(">I", block, 5)
        found = [value / parts for value in struct.unpack_from(">II" + "iiIii" * channels, block, 9)]
    else:
        pairs = struct.unpack_from(">IIII" + "iIiIIIiIiI" * channels, block, 5)
        found = [value / parts for value, parts in zip(pairs[::2], pairs[1::2], strict=True)]
    least, most, gamma, sdr, hdr = (tuple(found[2 + place :: 5]) for place in range(5))
    gains = Gains(
        low=found[0], high=found[1], least=least, most=most, gamma=gamma, offset_sdr=sdr, offset_hdr=hdr
    )
    gains.check()
    return gains


_OPENED = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"'
)
_CLOSED = "</rdf:Description></rdf:RDF></x:xmpmeta>"
_CONTAINER = "http://ns.google.com/photos/1.0/container/"


def _contents(size: int) -> bytes:
    """What the picture says of the gain map behind it, `size` bytes long."""
    items = ('"Primary"', f'"GainMap" Item:Length="{size}"')
    listed = "".join(
        '<rdf:li rdf:parseType="Resource">'
        f'<Container:Item Item:Mime="image/jpeg" Item:Semantic={item}/></rdf:li>'
        for item in items
    )
    return (
        f'{_OPENED} xmlns:Container="{_CONTAINER}" xmlns:Item="{_CONTAINER}item/"><Container:Directory><rdf:Seq>'
        f"{listed}</rdf:Seq></Container:Directory>{_CLOSED}"
    ).encode()


def _numbers(gains: Gains) -> bytes:
    """The same numbers once more, for readers of before the standard."""
    names = ("GainMapMin", "GainMapMax", "Gamma", "OffsetSDR", "OffsetHDR")
    single = {"HDRCapacityMin": gains.low, "HDRCapacityMax": gains.high}
    single |= {
        name: values[0] for name, values in zip(names, gains.channels, strict=True) if len({*values}) == 1
    }
    attributes = "".join(f' hdrgm:{name}="{value:.6f}"' for name, value in single.items())
    several = {name: values for name, values in zip(names, gains.channels, strict=True) if name not in single}
    lists = {
        name: "".join(f"<rdf:li>{value:.6f}</rdf:li>" for value in values) for name, values in several.items()
    }
    elements = "".join(
        f"<hdrgm:{name}><rdf:Seq>{items}</rdf:Seq></hdrgm:{name}>" for name, items in lists.items()
    )
    return f'{_OPENED}{attributes} hdrgm:BaseRenditionIsHDR="False">{elements}{_CLOSED}'.encode()

"""What the XMP of a gain map says of its levels (Adobe's hdrgm): each number bounded, none copied as text."""

from services.processor.steps.xmp import Texts, UnreadableXmp, read_xmp
from shared.ultra_hdr import Gains, UnusableNumbers

_SPACE = b"http://ns.adobe.com/hdr-gain-map/1.0/"
_NAMES = (
    "GainMapMin",
    "GainMapMax",
    "Gamma",
    "OffsetSDR",
    "OffsetHDR",
    "HDRCapacityMin",
    "HDRCapacityMax",
    "BaseRenditionIsHDR",
)
_CALLED = {f"{_SPACE.decode()} {name}": name for name in _NAMES}
_OFFSET = 1 / 64


def speaks_of_gains(packet: bytes) -> bool:
    """Whether a packet of XMP has anything from the namespace; cheap, for it is asked of every picture."""
    return _SPACE in packet


def of_xmp(packet: bytes) -> Gains:
    """Raises UnusableNumbers."""
    try:
        found = read_xmp(packet, _CALLED)
    except UnreadableXmp as error:
        raise UnusableNumbers(f"their XMP cannot be read: {error}") from error
    if [text.strip().lower() for text in found.get("BaseRenditionIsHDR", ())] not in ([], ["false"]):
        raise UnusableNumbers("the picture is the bright one")
    gains = Gains(
        least=_numbers(found, "GainMapMin", 0.0),
        most=_numbers(found, "GainMapMax"),
        gamma=_numbers(found, "Gamma", 1.0),
        offset_sdr=_numbers(found, "OffsetSDR", _OFFSET),
        offset_hdr=_numbers(found, "OffsetHDR", _OFFSET),
        low=_numbers(found, "HDRCapacityMin", 0.0)[0],
        high=_numbers(found, "HDRCapacityMax")[0],
    )
    gains.check()
    return gains


def _numbers(found: Texts, name: str, default: float | None = None) -> tuple[float, ...]:
    texts = found.get(name, [])
    if not texts and default is not None:
        return (default,)
    try:
        values = tuple(float(text) for text in texts[:4])
    except ValueError as error:
        raise UnusableNumbers(f"{name} is no number") from error
    if not values:
        raise UnusableNumbers(f"{name} is missing")
    return values

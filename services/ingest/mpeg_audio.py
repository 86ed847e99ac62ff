"""MPEG audio and ADTS, which have no magic bytes but frames: one header must lead to the next."""

_MPEG_1 = {
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_MPEG_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # layers II and III
_RATES = (44_100, 48_000, 32_000)
_PADDING_BYTES = 4096


def mpeg_audio(head: bytes) -> str | None:
    """Frames of layer II or III (ISO/IEC 11172-3, 13818-3) or of ADTS (ISO/IEC 13818-7) from the start on."""
    return _frames(head, 0)


def tagged(head: bytes) -> str | None:
    """What comes after an ID3v2 tag, which stands before MP3 and sometimes others; MP3 where the head ends before."""
    if len(head) < 10 or any(byte > 127 for byte in head[6:10]):
        return "audio/mpeg"
    size = sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    at = 10 + size + (10 if head[5] & 0x10 else 0)
    if head.startswith(b"fLaC", at):
        return "audio/flac"
    return _frames(head, at) or "audio/mpeg"


def padded(head: bytes) -> str | None:
    """MP3 whose first frame comes after zeros, as cutting a tag off leaves them. Two frames, or it is chance."""
    at = len(head[:_PADDING_BYTES]) - len(head[:_PADDING_BYTES].lstrip(b"\0"))
    length = _layer_length(head, at)
    return "audio/mpeg" if at and length and _layer_length(head, at + length) else None


def _frames(head: bytes, at: int) -> str | None:
    """A frame, and the next one where the head reaches so far."""
    for mime, length_of in (("audio/mpeg", _layer_length), ("audio/aac", _adts_length)):
        length = length_of(head, at)
        if length and (at + length + 4 > len(head) or length_of(head, at + length)):
            return mime
    return None


def _layer_length(head: bytes, at: int) -> int:
    """Length in bytes of the frame of layer II or III that begins there, 0 where none does."""
    if len(head) < at + 4 or head[at] != 0xFF or head[at + 1] & 0xE0 != 0xE0:
        return 0
    version, layer = head[at + 1] >> 3 & 3, head[at + 1] >> 1 & 3
    bitrate, rate, padding = head[at + 2] >> 4, head[at + 2] >> 2 & 3, head[at + 2] >> 1 & 1
    if version == 1 or layer not in {1, 2} or not 0 < bitrate < 15 or rate == 3:
        return 0
    kilobits = (_MPEG_1[layer] if version == 3 else _MPEG_2)[bitrate - 1]
    hertz = _RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
    samples = 72 if layer == 1 and version != 3 else 144
    return samples * kilobits * 1000 // hertz + padding


def _adts_length(head: bytes, at: int) -> int:
    if len(head) < at + 4 or head[at] != 0xFF or head[at + 1] & 0xF6 != 0xF0 or head[at + 2] >> 2 & 15 > 12:
        return 0
    if len(head) < at + 6:
        return 7
    return (head[at + 3] & 3) << 11 | head[at + 4] << 3 | head[at + 5] >> 5

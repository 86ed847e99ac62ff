"""What a video is, told by its container and its first picture; nothing of it is longer than a line."""

import math
import re
from datetime import datetime
from typing import Any

import msgspec
from av.audio.stream import AudioStream
from av.codec.context import CodecContext
from av.container import InputContainer
from av.video.stream import VideoStream

from services.processor.clean_text import line
from services.processor.video_shape import Look

_MICROSECONDS = 1_000_000
_LONGEST = 30 * 24 * 3600  # seconds; who claims more does not know
_PLACE = re.compile(r"\s*([+-]\d{1,3}(?:\.\d{1,8})?)([+-]\d{1,3}(?:\.\d{1,8})?)([+-]\d{1,5}(?:\.\d{1,6})?)?")
_MOST_TRACKS = 8
# First what a phone says of the moment, then what the container does.
_MOMENTS = ("com.apple.quicktime.creationdate", "creation_time", "date", "DATE")
_PLACES = ("com.apple.quicktime.location.ISO6709", "location", "location-eng", "LOCATION")
_TEXTS = {
    "camera_make": ("com.apple.quicktime.make", "com.android.manufacturer", "make"),
    "camera_model": ("com.apple.quicktime.model", "com.android.model", "model"),
    "software": ("com.apple.quicktime.software", "encoder", "ENCODER"),
    "title": ("title", "TITLE", "com.apple.quicktime.title"),
}


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """`duration` in seconds, `bitrate` in bits a second; None where nobody knows. `fields`: those of exif."""

    duration: float | None
    bitrate: int | None
    taken_at: str | None
    fields: dict[str, Any]


def facts(container: InputContainer, stream: VideoStream | None, look: Look | None, *, size: int) -> Facts:
    duration = duration_of(container, stream)
    bitrate = container.bit_rate or 0
    if duration and not 0 < bitrate < 2**40:
        bitrate = round(size * 8 / duration)
    return Facts(
        duration=duration,
        bitrate=bitrate if 0 < bitrate < 2**40 else None,
        taken_at=_moment(container.metadata),
        fields=_fields(container, stream, look),
    )


def duration_of(container: InputContainer, stream: VideoStream | None) -> float | None:
    """Seconds to the millisecond, by the container or else by the stream."""
    told = container.duration / _MICROSECONDS if container.duration else 0.0
    if not told and stream is not None and stream.duration and stream.time_base:
        told = float(stream.duration * stream.time_base)
    return round(told, 3) if 0 < told < _LONGEST and math.isfinite(told) else None


def _fields(container: InputContainer, stream: VideoStream | None, look: Look | None) -> dict[str, Any]:
    found: dict[str, Any] = {"container": container.format.name.split(",")[0]}
    for name, keys in _TEXTS.items():
        text = line(next((container.metadata[key] for key in keys if container.metadata.get(key)), ""))
        if text:
            found[name] = text
    if stream is not None:
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        found["video_codec"] = stream.codec_context.codec.canonical_name
        if 0 < rate <= 1000:
            found["frame_rate"] = round(rate, 3)
        if look is not None:
            found["rotation"] = look.rotation
            found["hdr"] = look.hdr is not None
    tracks = [_track(track) for track in container.streams.audio[:_MOST_TRACKS]]
    if tracks:
        found["audio_tracks"] = tracks
        found["audio_codec"] = tracks[0]["codec"]
    place = _place(container.metadata)
    return found | ({"gps": place} if place else {})


def _track(stream: AudioStream) -> dict[str, Any]:
    context: CodecContext | None = stream.codec_context  # None where there is no decoder
    if context is None:
        return {"codec": "unknown"}
    told = {
        "codec": context.codec.canonical_name,
        "channels": stream.channels,
        "sample_rate": stream.rate,
        "language": line(stream.language or "", 16),
    }
    return {name: value for name, value in told.items() if value and value != "und"}


def _moment(metadata: dict[str, str]) -> str | None:
    """ISO 8601 to the second. Some cameras write zero, which is the year 1904 or 1970."""
    for key in _MOMENTS:
        text = metadata.get(key, "")[:40]
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            continue
        if moment.year > 1970 and len(text) > 10:
            return moment.replace(microsecond=0).isoformat()
    return None


def _place(metadata: dict[str, str]) -> dict[str, float]:
    """Latitude and longitude in degrees, altitude in metres, as ISO 6709 has them."""
    for key in _PLACES:
        found = _PLACE.match(metadata.get(key, ""))
        if found is None:
            continue
        latitude, longitude = float(found[1]), float(found[2])
        if abs(latitude) <= 90 and abs(longitude) <= 180:
            place = {"latitude": latitude, "longitude": longitude}
            return place | ({"altitude": float(found[3])} if found[3] else {})
    return {}

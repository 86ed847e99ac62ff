"""What people wrote into a sound file: title, artist, album and the like, made fit to be shown."""

from typing import Any

from av.container import InputContainer

from services.processor.clean_text import decoded, line

# By the names that FFmpeg gives them, whatever the container calls them.
_TEXTS = ("title", "artist", "album", "album_artist", "composer", "genre", "track", "disc", "copyright")
_YEAR = ("date", "year", "originaldate", "tdor")


def tags(container: InputContainer) -> dict[str, Any]:
    """Texts of one line each; only those that are there. What the file says goes before what its streams do."""
    said: dict[str, str] = {}
    for stream in container.streams.audio:
        said = _folded(stream.metadata) | said
    said |= {name: text for name, text in _folded(container.metadata).items() if text}
    found = {name: _clean(said.get(name, "")) for name in _TEXTS}
    found["released"] = _clean(next((said[name] for name in _YEAR if said.get(name)), ""), 32)
    return {name: text for name, text in found.items() if text}


def _folded(metadata: dict[str, str]) -> dict[str, str]:
    return {name.lower().replace("-eng", ""): text for name, text in metadata.items()}


def _clean(text: str, most: int = 255) -> str | None:
    return line(decoded(text.encode("utf-8", "surrogateescape")), most)

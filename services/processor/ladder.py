"""Sizes of one picture, each made from the next larger one and kept in memory."""

from services.processor.vips import Image


def fit_inside(width: int, height: int, scale: float) -> tuple[int, int]:
    """Both sides times scale, at least one pixel each."""
    return max(1, round(width * scale)), max(1, round(height * scale))


def shrink(image: Image, width: int, height: int) -> Image:
    """The image at exactly these sides; lazily. Colours of transparent pixels do not bleed into their neighbours."""
    if (image.width, image.height) == (width, height):
        return image
    horizontal, vertical = width / image.width, height / image.height
    if not image.hasalpha():
        return image.resize(horizontal, vscale=vertical)
    format_ = image.format
    return image.premultiply().resize(horizontal, vscale=vertical).unpremultiply().cast(format_)


class Ladder:
    """Ask for the larger sizes first: then each costs only a small step from the one before."""

    def __init__(self, image: Image, *, width: int, height: int) -> None:
        """`image` is in memory; `width` and `height` are the sides of the original it stands for."""
        self.width = width
        self.height = height
        self._rungs = [image]
        self._opaque: dict[tuple[int, int, int], Ladder] = {}

    @property
    def has_alpha(self) -> bool:
        return bool(self._rungs[0].hasalpha())

    def at(self, scale: float) -> Image:
        """The picture at `scale` of the original, or as large as it is here."""
        largest = self._rungs[0]
        width, height = fit_inside(self.width, self.height, scale)
        width, height = min(width, largest.width), min(height, largest.height)
        source = min(
            (rung for rung in self._rungs if rung.width >= width and rung.height >= height),
            key=lambda rung: rung.width * rung.height,
        )
        if (source.width, source.height) == (width, height):
            return source
        made = shrink(source, width, height).copy_memory()
        self._rungs.append(made)
        return made

    def on(self, background: tuple[int, int, int]) -> "Ladder":
        """The same picture without transparency, on this colour."""
        if not self.has_alpha:
            return self
        if background not in self._opaque:
            flat = self._rungs[0].flatten(background=list(background)).copy_memory()
            self._opaque[background] = Ladder(flat, width=self.width, height=self.height)
        return self._opaque[background]

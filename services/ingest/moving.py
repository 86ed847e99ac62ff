"""How many pixels an animation has, picture by picture, counted while the file flows past: its size does not tell."""

import struct

_GIF, _WEBP = (b"GIF87a", b"GIF89a"), b"WEBP"
_SCREEN = struct.Struct("<2HB")
_DESCRIPTOR = struct.Struct("<4HB")  # of a picture: left, top, width, height, flags
_CHUNK = struct.Struct("<4sI")
_EXTENSION, _PICTURE, _TRAILER = 0x21, 0x2C, 0x3B
_TABLE = 0x80  # the flag of a colour table; the lowest three bits tell how long it is
_BEGINNING = 12  # bytes, by which the kind is known
_SCREEN_END = 13
_MOST_STEPS = 300_000  # of an ordinary GIF 75 MB; blocks of one byte each would keep the loop busy
MANY = 10_000  # pictures; what is not looked at to its end may have as many


class Moving:
    """Counts the pictures of a GIF or an animated WebP, and how large they are; of other files it counts none."""

    def __init__(self) -> None:
        self._pictures = 0
        self._width = self._height = 0  # of a GIF: decoders widen the screen to what its pictures need
        self._rest = b""
        self._skip = 0
        self._in_data = False
        self._steps = 0
        self._kind: bytes | None = b""  # empty: not known yet; None: nothing more to see

    def see(self, piece: bytes) -> None:
        """The next bytes of the file."""
        if self._kind is None:
            return
        data = self._rest + piece if self._rest else piece
        self._rest = b""
        if not self._kind:
            self._begin(data)
        if self._kind == _WEBP:
            self._see_chunks(data)
        elif self._kind:
            self._see_blocks(data)
        if self._steps > _MOST_STEPS:
            self._pictures, self._kind = MANY, None

    def pixels(self, sides: tuple[int, int] | None) -> int:
        """Of all its pictures together, each as large as the whole; 0 where it does not move. `sides`: of the whole,
        as far as known."""
        if self._pictures <= 1:
            return 0
        width, height = sides or (0, 0)
        return self._pictures * max(width, self._width, 1) * max(height, self._height, 1)

    def _begin(self, data: bytes) -> None:
        if len(data) < _SCREEN_END:
            self._rest = data
        elif data.startswith(_GIF):
            self._kind = data[:6]
            self._width, self._height, flags = _SCREEN.unpack_from(data, 6)
            self._skip = _SCREEN_END + _table(flags)
        elif data[8:_BEGINNING] == _WEBP:
            self._kind, self._skip = _WEBP, _BEGINNING
        else:
            self._kind = None

    def _see_blocks(self, data: bytes) -> None:
        at, end = self._skip, len(data)
        while at < end:
            self._steps += 1
            byte = data[at]
            if self._in_data:
                at += 1 + byte
                self._in_data = byte > 0
            elif byte == _EXTENSION:
                at += 2
                self._in_data = True
            elif byte == _PICTURE:
                if at + 1 + _DESCRIPTOR.size > end:
                    break
                at += self._note_picture(data, at + 1)
                self._in_data = True
            elif byte == _TRAILER:
                self._kind = None
                return
            else:
                at += 1
        self._keep(data, at)

    def _note_picture(self, data: bytes, at: int) -> int:
        """The bytes before its data."""
        left, top, width, height, flags = _DESCRIPTOR.unpack_from(data, at)
        self._pictures += 1
        self._width, self._height = max(self._width, left + width), max(self._height, top + height)
        return 1 + _DESCRIPTOR.size + _table(flags) + 1

    def _see_chunks(self, data: bytes) -> None:
        at, end = self._skip, len(data)
        while at + _CHUNK.size <= end:
            self._steps += 1
            name, size = _CHUNK.unpack_from(data, at)
            self._pictures += name == b"ANMF"
            at += _CHUNK.size + size + size % 2
        self._keep(data, at)

    def _keep(self, data: bytes, at: int) -> None:
        self._rest, self._skip = data[at:], max(0, at - len(data))


def _table(flags: int) -> int:
    """The bytes of a colour table."""
    return 3 << ((flags & 7) + 1) if flags & _TABLE else 0

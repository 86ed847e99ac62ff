"""Walks the blocks of a GIF (GIF89a specification, appendix A), of which libvips only counts what is complete."""

import mmap

_TABLE = 0x80  # the flag of a colour table; the lowest three bits tell how long it is
_EXTENSION, _PICTURE = 0x21, 0x2C
_SCREEN = 13  # header and screen descriptor
_DESCRIPTOR = 10  # of a picture, with the byte that introduces it


def is_gif(view: mmap.mmap) -> bool:
    return view[:6] in {b"GIF87a", b"GIF89a"}


def ends_within_a_block(view: mmap.mmap) -> bool:
    """Whether the bytes end before the block does that they are in. A file that only lacks its last byte, which
    says that it ends, is complete, and so is one that goes on with something else."""
    end = len(view)
    if end < _SCREEN:
        return True
    position = _SCREEN + _table(view[10])
    while position < end:
        if view[position] == _EXTENSION:
            position += 2
        elif view[position] == _PICTURE:
            if position + _DESCRIPTOR > end:
                return True
            position += _DESCRIPTOR + _table(view[position + _DESCRIPTOR - 1]) + 1
        else:
            return False
        position = _behind_data(view, position)
    return position > end


def _table(flags: int) -> int:
    """The bytes of a colour table."""
    return 3 << ((flags & 7) + 1) if flags & _TABLE else 0


def _behind_data(view: mmap.mmap, position: int) -> int:
    """Where a row of sub-blocks ends that begins here; beyond the end where its last, empty one is not there."""
    end = len(view)
    while position < end and view[position]:
        position += 1 + view[position]
    return position + 1

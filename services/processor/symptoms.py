"""What the texts of codecs mean. They tell their errors apart by words only, so the words are all kept here."""

_STARVED = (
    "out of memory",
    "unable to allocate",
    "failed to allocate",
    "cannot allocate",
    "memory allocation",
    "insufficient memory",
    "bad_alloc",
    "memoryerror",
    "error creating thread",  # its stack found no room
)
# A codec's own limit on what a file may ask for, and libtiff's words for a directory without entries.
_FAULT_OF_THE_FILE = ("security limit", "(0 elements of")
_CUT_SHORT = (
    "truncated",
    "premature end",
    "unexpected end",
    "outside of file bounds",
    "end of stream",
    "read error at scanline",
)
_UNSUPPORTED = (
    "unsupported",
    "not supported",
    "not configured",
    "not been built in",
    "not a whole number of bytes",
    "bad labq format",
)


def says_starved(text: str) -> bool:
    """There was too little memory, and it is not the file that asks for what cannot be."""
    return _any(_STARVED, text) and not _any(_FAULT_OF_THE_FILE, text)


def says_cut_short(text: str) -> bool:
    """Bytes are missing at the end."""
    return _any(_CUT_SHORT, text)


def says_unsupported(text: str) -> bool:
    """The file may be well, but the codec does not do what it asks for."""
    return _any(_UNSUPPORTED, text)


def _any(words: tuple[str, ...], text: str) -> bool:
    said = text.lower()
    return any(word in said for word in words)

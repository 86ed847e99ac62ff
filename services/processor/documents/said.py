"""The text of a document as it is kept: bounded, in NFC, lines of one kind of end, and nothing that cannot be seen."""

import re
import unicodedata

MOST_CHARACTERS = 4 * 1024 * 1024
MOST_BYTES = 4 * 1024 * 1024
"""Of UTF-8. The catalog searches the first quarter."""

_LINE_ENDS = re.compile("\r\n?|[\v\f\x85\u2028\u2029]")
# PDFium's mark for a hyphen that only the end of the line has put there, and the soft hyphens of everybody else.
_HYPHENS = re.compile("[\x02\ufffe\xad]\n?")
_UNSEEN = re.compile(
    "[\0-\x08\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff0-\uffff\ud800-\udfff]"
)
# Fonts without a table of letters: what they mean is what everybody else's C1 controls are taken for.
_QUOTES = {code: bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0) if code != 0x85}
_EMPTY_LINES = re.compile("\n{3,}")


class Said:
    """Takes text piece by piece until it has enough."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._left = MOST_CHARACTERS
        self.is_cut = False

    @property
    def left(self) -> int:
        """How many characters more are taken."""
        return self._left

    def add(self, piece: str) -> None:
        """Take this, or as much of it as there is room for."""
        if len(piece) > self._left:
            piece, self.is_cut = piece[: self._left], True
        self._left -= len(piece)
        self._pieces.append(piece)

    def whole(self) -> str:
        """All that was taken, fit to be kept: at most MOST_BYTES as UTF-8."""
        text = cleaned("".join(self._pieces))
        body = text.encode()
        if len(body) <= MOST_BYTES:
            return text
        self.is_cut = True
        return body[:MOST_BYTES].decode(errors="ignore")


def cleaned(text: str) -> str:
    """Line ends of one kind, words joined again that a line has parted, nothing invisible but line ends and tabs."""
    text = _HYPHENS.sub("", _LINE_ENDS.sub("\n", text)).translate(_QUOTES)
    text = unicodedata.normalize("NFC", _UNSEEN.sub("", text))
    lines = (line.rstrip() for line in text.split("\n"))
    return _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip("\n")

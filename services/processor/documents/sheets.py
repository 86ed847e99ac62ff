"""Spreadsheets of Open XML, whose cells name their texts by number: the texts first, then the cells in their rows."""

from services.processor.documents.elements import Enough
from services.processor.documents.found import whole
from services.processor.documents.said import MOST_CHARACTERS, Said

_MOST_VALUE = 32_767  # characters of a cell, by Excel's own limit
_SHARED = "s"
_SPOKEN = frozenset(
    {"str", "inlineStr", "n", "d", ""}
)  # kinds of cells that say what they show; not true and errors


class SharedTexts:
    """The texts that cells share, as far as there is room for them."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._left = MOST_CHARACTERS
        self._pieces: list[str] = []
        self._open = False
        self._skipping = 0

    def start(self, name: str, _: dict[str, str]) -> None:
        if self._skipping or name == "rPh":  # how a text is pronounced
            self._skipping += 1
        self._open = name == "t"

    def end(self, name: str) -> None:
        self._open = False
        if self._skipping:
            self._skipping -= 1
        elif name == "si":
            self.texts.append("".join(self._pieces))
            self._pieces = []
            if self._left <= 0:
                raise Enough

    def characters(self, text: str) -> None:
        if self._open and not self._skipping:
            self._pieces.append(text[: max(0, self._left)])
            self._left -= len(text)


class Cells:
    """Rows as lines, with a tab between two cells."""

    def __init__(self, said: Said, shared: list[str]) -> None:
        self._said, self._shared = said, shared
        self._kind = self._value = ""
        self._open = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            self._kind, self._value = attributes.get("t", ""), ""
        self._open = name in {"v", "t"}

    def end(self, name: str) -> None:
        self._open = False
        if name == "c":
            self._said.add(self._shown() + "\t")
        elif name == "row":
            self._said.add("\n")
        if self._said.is_cut:
            raise Enough

    def characters(self, text: str) -> None:
        if self._open and len(self._value) < _MOST_VALUE:
            self._value += text[:_MOST_VALUE]

    def _shown(self) -> str:
        if self._kind == _SHARED:
            number = whole(self._value)
            return self._shared[number] if number is not None and number < len(self._shared) else ""
        return self._value if self._kind in _SPOKEN else ""

"""What is listened for in the parts of office documents: running text, a few named values, how many of a thing."""

from collections import Counter
from collections.abc import Collection, Mapping

from services.processor.documents.elements import Enough, local
from services.processor.documents.said import Said

_MOST_VALUE = 4000  # characters of a value, much more than is kept of it


class Prose:
    """Collects the text within elements called `inside`, without those called `skipped` and all that is in them.
    `after`: what is put behind an element."""

    def __init__(
        self, said: Said, *, inside: Collection[str], skipped: Collection[str], after: Mapping[str, str]
    ) -> None:
        self._said, self._inside, self._skipped, self._after = said, inside, skipped, after
        self._open = self._skipping = 0

    def start(self, name: str, _: dict[str, str]) -> None:
        if self._skipping or name in self._skipped:
            self._skipping += 1
        elif name in self._inside:
            self._open += 1

    def end(self, name: str) -> None:
        if self._skipping:
            self._skipping -= 1
            return
        if name in self._inside:
            self._open -= 1
        if name in self._after:
            self._said.add(self._after[name])
        if self._said.is_cut:
            raise Enough

    def characters(self, text: str) -> None:
        if self._open and not self._skipping:
            self._said.add(text)


class Values:
    """The texts of those elements that are wanted, of each the first, and the attributes of those in `described`; and
    how many there are of each element in `counted`."""

    def __init__(
        self, wanted: Collection[str] = (), *, described: Collection[str] = (), counted: Collection[str] = ()
    ) -> None:
        self._wanted, self._described, self._counted = wanted, described, counted
        self.texts: dict[str, str] = {}
        self.attributes: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self._open: str | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name in self._wanted and name not in self.texts:
            self._open = name
            self.texts[name] = ""
        if name in self._described:
            self.attributes |= {local(key): value for key, value in attributes.items()}
        if name in self._counted:
            self.counts[name] += 1

    def end(self, name: str) -> None:
        if name == self._open:
            self._open = None

    def characters(self, text: str) -> None:
        if self._open is not None and len(self.texts[self._open]) < _MOST_VALUE:
            self.texts[self._open] += text[:_MOST_VALUE]

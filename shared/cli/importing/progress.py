"""How far an import is: bars on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable

from shared.cli.bars import clock, size
from shared.cli.tally import Tally, Watcher

_EVERY_SECONDS = 10.0


class Progress:
    """`tally` has the rows and bytes of the whole run, whatever their number; only those under way are named."""

    def __init__(self, rows: int, count: int, watcher: Watcher | None, say: Callable[[str], None]) -> None:
        self.tally = Tally({})
        self.tally.files, self.tally.planned = rows, count
        self._watcher = watcher
        self._say = say
        self._said = time.monotonic()
        self._under_way: dict[str, int] = {}

    def begins(self, name: str, count: int) -> None:
        """An attempt: what a former one sent does not count any more."""
        self.tally.done -= self._under_way.get(name, 0)
        if self._watcher is not None:
            self._watcher.ends(name)
            self._watcher.begins(name, count)
        self._under_way[name] = 0

    def moved(self, name: str, count: int) -> None:
        self._under_way[name] = self._under_way.get(name, 0) + count
        self.tally.done += count
        self.tally.wire += count
        if self._watcher is not None:
            self._watcher.moves(name, self._under_way[name])
            self._watcher.totals(self.tally)

    def row_done(self, name: str, count: int) -> None:
        """However it ended, nothing of it is waited for."""
        self.tally.done += count - self._under_way.pop(name, 0)
        self.tally.files_done += 1
        if self._watcher is not None:
            self._watcher.ends(name)
            self._watcher.totals(self.tally)
        elif time.monotonic() - self._said >= _EVERY_SECONDS:
            self._said = time.monotonic()
            self._say(self.line())

    def line(self) -> str:
        """Rows, bytes, rates and the time that is left."""
        tally = self.tally
        rate = tally.files_done / tally.seconds if tally.seconds else 0.0
        return (
            f"{tally.files_done} of {tally.files} rows ({rate:.1f}/s), {size(tally.done)} of {size(tally.planned)} "
            f"({size(round(tally.rate))}/s), {clock(tally.left)} left"
        )

"""Reading ahead in a form of many files: how much may still be on its way into the store when the next file begins."""

from shared.storage.s3 import PART_BYTES

AHEAD_BYTES = 16 * 1024 * 1024
MOST_OF_A_FILE = 2 * PART_BYTES
"""What the store's client holds of a file at the most: a part that is sent, and the one behind it."""
FILES_AHEAD = 3


class Ahead:
    """Bytes of files that are read but not yet stored, while their forms are read on; over all batches of a process.

    A batch without a place here goes on when its file is stored. So it never holds more than a single upload does,
    but for these bytes, and none waits for another's client.
    """

    def __init__(self, most: int = AHEAD_BYTES) -> None:
        self._left = most

    def take(self, size: int) -> bool:
        """Whether there was room for a file of so many bytes; then it is taken."""
        held = min(size, MOST_OF_A_FILE)
        if held > self._left:
            return False
        self._left -= held
        return True

    def give_back(self, size: int) -> None:
        self._left += min(size, MOST_OF_A_FILE)

"""What all documents that are zips of XML have in common: how their parts are listened to, and what is told of it."""

from services.processor import failures
from services.processor.documents.elements import Budget, Listener, UnreadableXml, listen
from services.processor.documents.found import CUT, DAMAGED, ENCRYPTED, Found
from services.processor.documents.listeners import Values
from services.processor.documents.parts import Parts
from services.processor.work import Work


def opened(work: Work) -> Parts:
    """Raises JobFailed."""
    return Parts(work.descriptor, work.view, work.job.mime_type)


class Office:
    """One document: its parts, what is found in it, and how much may be read yet."""

    def __init__(self, parts: Parts, mime_type: str) -> None:
        self.parts, self.found = parts, Found()
        self._mime_type = mime_type
        self._budget = Budget()
        self._is_damaged = False

    def hear(self, name: str, listener: Listener, *, needed: bool = False) -> None:
        """Let it listen to a part. What is damaged is read as far as it goes; where a part is `needed`, JobFailed is
        raised when nothing at all of it can be read."""
        left, was_damaged = self._budget.left, self._is_damaged
        fault = f"there is no {name}"
        try:
            listen(self.parts.chunks(name), listener, self._budget)
        except UnreadableXml as error:
            fault = f"{name}: {error}"
            self._is_damaged = was_damaged or name in self.parts
        if needed and self._budget.left == left:
            raise failures.corrupt(self._mime_type, fault)

    def values(self, name: str, listener: Values) -> Values:
        """The same of a part that says little; itself."""
        if name in self.parts:
            self.hear(name, listener)
        return listener

    def ended(self) -> Found:
        """What was found, with the warnings that belong to it."""
        found = self.found
        if found.fields.get("encrypted"):
            found.warnings.append(ENCRYPTED)
        if found.said.is_cut or self.parts.is_spent or self._budget.left < 0:
            found.warnings.append(CUT)
        elif self._is_damaged or self.parts.is_damaged:
            found.warnings.append(DAMAGED)
        return found

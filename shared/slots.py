"""Slots: the addresses at which media is uploaded straight onto an entity, as a profile names them."""

import re
from typing import Literal, TypeAlias

import msgspec

ID, WITHIN = "{id}", "{within}"
_WORD = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_FIELD = re.compile(r"[a-z][a-z0-9_-]{0,63}")
Taken: TypeAlias = Literal[
    "description", "alt_text", "caption", "tags", "metadata", "is_public", "is_primary", "sort_order"
]


class Slot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One address below /v1/media. `path`: `<entities>/{id}/<name>`, or `<wholes>/{within}/<entities>/{id}/<name>` for
    parts of another entity, whose rights go for its parts. `entity`: its type, else the singular of `<entities>`;
    `field`: that of the entity, else `<name>`. `label`: what an upload is called in its answer. `says`: who may upload,
    as a refusal puts it. `takes`: fields of the form beside the file."""

    path: str
    entity: str = ""
    field: str = ""
    label: str = ""
    says: str = ""
    takes: tuple[Taken, ...] = ("alt_text",)

    @property
    def entity_type(self) -> str:
        return self.entity or singular(self._words[-3])

    @property
    def entity_field(self) -> str:
        return self.field or self._words[-1].replace("-", "_")

    @property
    def within(self) -> str | None:
        """The type of the entity that the path names besides, whose rights count."""
        return singular(self._words[0]) if WITHIN in self._words else None

    @property
    def message(self) -> str:
        return f"{self.label or self._words[-1].replace('-', ' ').capitalize()} uploaded successfully"

    @property
    def operation(self) -> str:
        """Its id in the OpenAPI document."""
        words = f"upload_{self.entity_type}_{singular(self._words[-1])}".replace("-", "_").split("_")
        return words[0] + "".join(word.capitalize() for word in words[1:])

    @property
    def _words(self) -> list[str]:
        return self.path.split("/")

    def fault(self) -> str | None:
        """What is wrong with it, for whoever wrote it."""
        words = self.path.split("/")
        shape = [word if word in {ID, WITHIN} else "" for word in words]
        if shape not in (["", ID, ""], ["", WITHIN, "", ID, ""]) or not all(
            _WORD.fullmatch(word) for word in words if word not in {ID, WITHIN}
        ):
            return (
                f"the path {self.path!r} is none; it looks like 'teams/{{id}}/banner' or "
                "'clubs/{within}/teams/{id}/banner', words of a-z, 0-9 and '-'"
            )
        for name in (self.entity_type, self.entity_field):
            if not _FIELD.fullmatch(name):
                return f"{name!r} of the path {self.path!r} can be no name; allowed are a-z, 0-9, '-' and '_'"
        return None


def singular(word: str) -> str:
    """The type of an entity by its word in a path: `communities` is `community`, `sales-reps` is `sales_rep`."""
    word = word.replace("-", "_")
    return f"{word[:-3]}y" if word.endswith("ies") else word.removesuffix("s")

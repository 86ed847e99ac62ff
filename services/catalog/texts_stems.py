"""Stems of words, by PostgreSQL's own dictionaries; asked once for each word, as long as it is remembered."""

from collections.abc import Iterable, Mapping

import msgspec
from sqlalchemy import TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.env import Env

LANGUAGES = (
    "arabic", "armenian", "basque", "catalan", "danish", "dutch", "english", "estonian", "finnish", "french", "german",
    "greek", "hindi", "hungarian", "indonesian", "irish", "italian", "lithuanian", "nepali", "norwegian", "portuguese",
    "romanian", "russian", "serbian", "spanish", "swedish", "tamil", "turkish", "yiddish",
)  # fmt: skip
"""Those whose stems PostgreSQL knows."""
DEFAULT = ("english", "german", "french", "spanish")
_REMEMBERED = 50_000


def languages_from_env(env: Env) -> tuple[str, ...]:
    """The languages that words are looked for in, `none` is words as they are written."""
    said = env.text("TRIPOD_SEARCH_LANGUAGES", ",".join(DEFAULT))
    asked = {part.strip() for part in said.split(",") if part.strip()} - {"none"}
    if asked - set(LANGUAGES):
        env.complain(
            "TRIPOD_SEARCH_LANGUAGES", said, f"some of {', '.join(LANGUAGES)}, separated by commas, or none"
        )
    return tuple(name for name in LANGUAGES if name in asked)


class Known(msgspec.Struct, frozen=True):
    """The stems of a word in all languages; `stop`: one of them has it in every other sentence."""

    stems: frozenset[str]
    stop: bool


_NOTHING = Known(frozenset(), stop=False)


class Stems:
    """The stems in some languages."""

    def __init__(self, languages: Iterable[str]) -> None:
        self.languages = tuple(languages)
        self._known: dict[str, Known] = {}
        self._question = _question(self.languages)

    async def of(self, connection: AsyncConnection, words: Iterable[str]) -> Mapping[str, Known]:
        """Of each of these folded words."""
        asked = {word: self._known.get(word) for word in words}
        unknown = [word for word, known in asked.items() if known is None and not word.isdigit()]
        found: dict[str, Known] = {word: known or _NOTHING for word, known in asked.items()}
        if not unknown or self._question is None:
            return found
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        for word, *of_languages in (await connection.execute(self._question, {"words": unknown})).all():
            stems = frozenset(stem for lexemes in of_languages for stem in lexemes or () if stem)
            known = Known(stems, stop=any(lexemes == [] for lexemes in of_languages))
            found[word] = self._known[word] = known
        return found


def _question(languages: tuple[str, ...]) -> TextClause | None:
    if not languages:
        return None
    asked = ", ".join(f"ts_lexize('{language}_stem', word)" for language in languages)
    question = text(f"SELECT word, {asked} FROM unnest(:words) AS word")  # noqa: S608 - of LANGUAGES alone
    return question.bindparams(bindparam("words", type_=ARRAY(TEXT)))

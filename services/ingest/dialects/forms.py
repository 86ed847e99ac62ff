"""What the dialects' uploads have in common: how their forms are read, and how long their answers wait."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from services.ingest import fields
from services.ingest.answers import Answering, Until
from services.ingest.body import answer_early
from services.ingest.context import Ingest
from services.ingest.fields import Options
from services.ingest.requests import AnyRequest
from services.ingest.source import Reading
from shared.dialects.view import View

Said: TypeAlias = Mapping[str, Sequence[str]]
TAKES_FILES: Mapping[str, Any] = {"request_max_body_size": None, "middleware": [answer_early]}
"""What `post` is told of an address of uploads: the body has no limit but ours, and a refusal does not wait for it."""


def reading(
    profile: str,
    takes: Iterable[str],
    preset: Mapping[str, str] | None = None,
    *,
    also: Callable[[Options, Said], Options] | None = None,
) -> Reading:
    """A form of these fields, which mean what ours of their names do; `preset` and `also` say the rest. The profile is
    known before the first byte."""
    names, sure = {name: name for name in takes}, {"profile": profile, **(preset or {})}

    def parse(said: Said, *, complete: bool = True) -> Options:
        found = fields.parse(fields.translated(said, names, sure), complete=complete)
        return found if also is None else also(found, said)

    return of_profile(profile, parse)


def of_profile(profile: str, parse: fields.Parse) -> Reading:
    """A form that is of this profile whatever it says."""
    return Reading(parse=parse, profile_known=lambda _said: True, profiles=(profile,))


def last(said: Said, name: str) -> str:
    """The last text of this name, empty where there is none."""
    return said[name][-1].strip() if said.get(name) else ""


def answering(request: AnyRequest, shape: Callable[[View], Any], *, until: Until = "committed") -> Answering:
    """The dialect's own answer, for which an upload waits as long as the setting says."""
    ingest: Ingest = request.app.state.ingest
    return Answering(until=until, seconds=ingest.settings.dialects.wait, shape=shape)

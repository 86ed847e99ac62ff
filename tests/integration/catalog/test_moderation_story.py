"""Any story of uploads, claims, decisions and time going by: what the queue and the claims say is what a plain reading
of the story says."""

from datetime import timedelta
from typing import Any, TypeAlias

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update

from services.catalog import moderation_queue as queue
from services.catalog.database import Database
from services.catalog.models import media, moderation_claims
from services.catalog.moderation import decide
from services.catalog.moderation_queue import Wanted
from services.catalog.moderation_schemas import ClaimRequest, ModerationRequest
from services.catalog.projector import project
from shared.auth import Caller
from shared.errors import Conflict
from tests.integration.catalog import stories
from tests.integration.catalog.service import all_rows

BASE = "http://origin.test"
REVIEWERS = ("m", "n", "o")
LONG = timedelta(minutes=10)
Step: TypeAlias = tuple[Any, ...]

who, which = st.sampled_from(REVIEWERS), st.integers(0, 5)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("upload"), st.sampled_from(["pending", "approved"])),
        st.tuples(st.just("claim"), who, st.integers(1, 3)),
        st.tuples(
            st.just("decide"), who, which, st.sampled_from(["pending", "approved", "rejected", "flagged"])
        ),
        st.tuples(st.just("release"), who),
        st.tuples(st.just("time"), who),
    ),
    min_size=4,
    max_size=12,
)


class Plain:
    """The story as one would tell it: states by upload, who decided last, who holds what."""

    def __init__(self) -> None:
        self.ids: list[Any] = []
        self.states: list[str] = []
        self.decided: dict[int, str] = {}
        self.held: dict[int, str] = {}

    @property
    def waiting(self) -> list[int]:
        return [n for n, state in enumerate(self.states) if state in queue.WAITING]

    def claim(self, reviewer: str, limit: int) -> list[int]:
        mine = [n for n, by in self.held.items() if by == reviewer]
        free = [n for n in self.waiting if n not in self.held]
        self.held |= dict.fromkeys(free[: max(limit - len(mine), 0)], reviewer)
        return sorted(n for n, by in self.held.items() if by == reviewer)

    def decide(self, reviewer: str, number: int, state: str) -> bool:
        """Whether they may, knowing nothing but what they hold."""
        same = self.states[number] == state and self.decided.get(number) == reviewer
        holder, before = self.held.get(number), self.decided.get(number)
        if not same and holder != reviewer and (holder is not None or before not in {None, reviewer}):
            return False
        self.states[number], self.decided[number] = state, reviewer
        if not same or holder == reviewer:  # a repetition ends nobody else's claim
            self.held.pop(number, None)
        return True


def caller(name: str) -> Caller:
    return Caller(sub=name, roles=frozenset({"moderator"}))


async def play(database: Database, plain: Plain, step: Step) -> None:
    match step:
        case ("upload", state):
            upload = stories.uploaded(moderation=state)
            await project(database, upload, sequence=upload.number, base_url=BASE)
            plain.ids.append(upload.id)
            plain.states.append(state)
        case ("claim", name, limit):
            found = await queue.claim(database, caller(name), ClaimRequest(limit=limit), base_url=BASE)
            assert [item.media.id for item in found.items] == [plain.ids[n] for n in plain.claim(name, limit)]
        case ("decide", name, which, state) if plain.ids:
            number = which % len(plain.ids)
            allowed = plain.decide(name, number, state)
            asked = ModerationRequest(state=state, reason="why")
            try:
                await decide(database, caller(name), plain.ids[number], asked, if_match=None, base_url=BASE)
            except Conflict:
                assert not allowed
            else:
                assert allowed
        case ("release", name):
            mine = [n for n, by in plain.held.items() if by == name]
            assert await queue.release(database, caller(name)) == len(mine)
            plain.held = {n: by for n, by in plain.held.items() if by != name}
        case ("time", name):
            async with database.writing(tell=False) as connection:
                table = moderation_claims
                past = update(table).where(table.c.reviewer == name).values(until=table.c.until - LONG * 10)
                await connection.execute(past)
            plain.held = {n: by for n, by in plain.held.items() if by != name}


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(story=steps)
async def test_the_queue_and_the_claims_are_those_of_the_story(database: Database, story: list[Step]) -> None:
    async with database.writing(tell=False) as connection:
        await connection.execute(delete(media))
    plain = Plain()
    for step in story:
        await play(database, plain, step)
        async with database.reading() as connection:
            found = await queue.page(connection, caller("m"), Wanted(), limit=50, after=None, base_url=BASE)
        assert [item.media.id for item in found.items] == [plain.ids[n] for n in plain.waiting]
        held = {item.media.id: item.claim.reviewer for item in found.items if item.claim}
        assert held == {plain.ids[n]: by for n, by in plain.held.items()}
    states = {row["id"]: row["moderation"] for row in await all_rows(database, "media")}
    assert states == dict(zip(plain.ids, plain.states, strict=True))

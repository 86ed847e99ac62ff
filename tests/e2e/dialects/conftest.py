"""What the walks through the older systems' documents share: callers whose user id is a number, and waiting."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.fixtures.system import System

Caller = Callable[..., httpx.Client]
_numbers = itertools.count(7000)


@pytest.fixture(scope="session")
def new_number() -> Callable[[], int]:
    """A number that no other test uses for a user or an entity."""
    return lambda: next(_numbers)


@pytest.fixture(scope="module")
def caller(system: System) -> Iterator[Caller]:
    """Clients of the origin: `caller("7", "service", uid=7)`, or nobody without a `sub`."""
    with ExitStack() as opened:

        def make(sub: str | None = None, *roles: str, **claims: object) -> httpx.Client:
            headers = (
                {} if sub is None else {"Authorization": f"Bearer {system.token(sub, *roles, **claims)}"}
            )
            return opened.enter_context(httpx.Client(base_url=system.origin_url, headers=headers, timeout=30))

        yield make


@pytest.fixture(scope="module")
def nobody(caller: Caller) -> httpx.Client:
    """Somebody without a token."""
    return caller()


@pytest.fixture(scope="module")
def service(caller: Caller) -> httpx.Client:
    """The back end of the old system, which owns what media hangs on."""
    return caller("backend", "service")

"""The limit of open files follows from how many live connections there may be."""

import resource

import pytest

from services.catalog import descriptors


@pytest.mark.parametrize(
    ("soft", "hard", "enough", "after"),
    [
        (256, 4096, True, 2024),
        (256, resource.RLIM_INFINITY, True, 2024),
        (4096, 4096, True, None),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, True, None),
        (256, 1500, False, 1500),
        (1500, 1500, False, None),
    ],
)
def test_the_limit_is_raised_as_far_as_it_is_needed_and_allowed(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, after: int | None, *, enough: bool
) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: set_to.append(limits))
    assert descriptors.make_room(1000) is enough
    assert set_to == ([] if after is None else [(after, hard)])

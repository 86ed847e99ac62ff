"""How the older APIs come in: those that are built and enabled, and who answers for references that are numbers."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
from litestar import Router

from services.catalog import dialects
from services.catalog.settings import CatalogSettings
from shared.dialects.settings import ALL, DialectSettings, Name


def settings(*enabled: Name) -> CatalogSettings:
    return cast("CatalogSettings", SimpleNamespace(dialects=DialectSettings(enabled=frozenset(enabled))))


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A module for each dialect, whose router is at the dialect's name."""
    made: dict[str, Any] = {}
    for name in ALL:
        module: Any = ModuleType(name)
        module.ROUTER = Router(f"/{name}", route_handlers=[])
        module.show_numbered = object()
        made[name] = module
        monkeypatch.setitem(sys.modules, f"services.catalog.dialects.{name}", module)
    monkeypatch.setattr(dialects, "BUILT", ("library", "entities"))
    monkeypatch.setattr(dialects, "NUMBERED", {"show": ("entities", "show_numbered")})
    return made


def test_dialects_that_are_built_and_enabled_are_mounted(modules: dict[str, Any]) -> None:
    assert [router.path for router in dialects.mounted(settings(*ALL))] == ["/library", "/entities"]
    assert [router.path for router in dialects.mounted(settings("personas", "library"))] == ["/library"]
    assert dialects.mounted(settings()) == []
    assert modules


@pytest.mark.parametrize("ref", ["7", "0", "9" * 18])
def test_a_number_belongs_to_the_dialect_that_answers_for_it(modules: dict[str, Any], ref: str) -> None:
    assert dialects.numbered(settings(*ALL), "show", ref) is modules["entities"].show_numbered
    assert dialects.numbered(settings("library"), "show", ref) is None
    assert dialects.numbered(settings(*ALL), "remove", ref) is None


@pytest.mark.parametrize(
    "ref", ["", "9" * 19, "MED-1", "-1", "1.0", "²", "٣", "123e4567-e89b-12d3-a456-426614174000"]
)
def test_what_is_no_plain_number_is_our_own_apis(modules: dict[str, Any], ref: str) -> None:
    assert dialects.numbered(settings(*ALL), "show", ref) is None
    assert modules


def test_every_dialect_that_is_said_to_be_built_has_a_router() -> None:
    found = dialects.mounted(settings(*ALL))
    assert len(found) == len(dialects.BUILT) == len(set(dialects.BUILT))

"""`--profile observability`: every replica is asked, every rule and every panel of the dashboard is understood.

Grafana only shows what is here, from files that tests/unit/deploy/test_observability.py reads; it is not started.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from deploy.ports import free_port
from deploy.services import PROJECT
from tests.fixtures.compose import ComposeStack
from tests.fixtures.pictures import photo
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.timeout(300)
FILES = PROJECT / "deploy" / "observability"
PROFILE = ("--profile", "observability")
# What a system that has just taken one photo has figures of; the others need failures, or more time.
SHOWN = {"Replicas that answer", "Dead letters in an hour", "Free storage", "What waits"}


@pytest.fixture(scope="module")
def prometheus(compose: ComposeStack) -> Iterator[httpx.Client]:
    """Its API, after a photo has gone through the system."""
    port = free_port({compose.port})
    compose.settle(TRIPOD_PROMETHEUS_LISTEN=f"127.0.0.1:{port}")
    headers = {"Authorization": f"Bearer {compose.token('observed')}"}
    with httpx.Client(base_url=compose.origin_url, headers=headers, timeout=30) as http:
        made = http.post("/v1/uploads", files={"file": ("photo.jpg", photo(seed=90), "image/jpeg")})
        assert made.status_code in {201, 202}, made.text
    compose.run(*PROFILE, "up", "--detach", "--wait", "--no-build", "--quiet-pull", "prometheus", seconds=120)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=10) as api:
        yield api
    compose.run(*PROFILE, "rm", "--stop", "--force", "--volumes", "prometheus", seconds=60)


def found(api: httpx.Client, path: str, **parameters: str) -> Any:
    answer = api.get(path, params=parameters)
    assert answer.status_code == 200, (parameters, answer.text)
    return answer.json()["data"]


def ask(api: httpx.Client, expression: str) -> list[dict[str, Any]]:
    result: list[dict[str, Any]] = found(api, "/query", query=expression)["result"]
    return result


def test_every_part_that_has_figures_is_asked_and_answers(prometheus: httpx.Client) -> None:
    def up() -> bool:
        targets = found(prometheus, "/targets")["activeTargets"]
        health = {target["labels"]["job"]: target["health"] for target in targets}
        return health == dict.fromkeys(("ingest", "catalog", "processor", "store"), "up")

    eventually(up, "all targets to be up", 60)


def test_every_rule_can_be_evaluated(prometheus: httpx.Client) -> None:
    def evaluated() -> list[dict[str, Any]]:
        rules = [rule for group in found(prometheus, "/rules")["groups"] for rule in group["rules"]]
        return [] if any(rule["health"] == "unknown" for rule in rules) else rules

    rules = eventually(evaluated, "all rules to be evaluated", 60)
    assert len(rules) > 15
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []


def test_every_panel_of_the_dashboard_asks_what_can_be_answered(prometheus: httpx.Client) -> None:
    panels = json.loads((FILES / "grafana" / "dashboards" / "tripod.json").read_text())["panels"]
    asked = {panel["title"]: [t["expr"] for t in panel.get("targets", [])] for panel in panels}
    for expression in (expression for expressions in asked.values() for expression in expressions):
        ask(prometheus, expression)
    assert set(asked) >= SHOWN
    shown = [expression for title in sorted(SHOWN) for expression in asked[title]]
    eventually(lambda: all(ask(prometheus, expression) for expression in shown), f"figures of {SHOWN}", 60)


def test_the_alerts_fire_when_they_should_and_not_before(compose: ComposeStack) -> None:
    said = compose.run(
        *PROFILE, "run", "--rm", "--no-deps", "--no-TTY", "--entrypoint", "promtool", "--env", "TMPDIR=/prometheus",
        "--volume", f"{FILES}:/rules:ro", "--workdir", "/rules", "prometheus", "test", "rules", "rules_test.yml",
    )  # fmt: skip
    assert "SUCCESS" in said

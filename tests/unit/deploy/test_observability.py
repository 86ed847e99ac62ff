"""Alerts and dashboard speak of figures that the services really have."""

import json
import re

import pytest
import yaml
from prometheus_client import CollectorRegistry

from deploy.services import PROJECT
from services.catalog.measures import CatalogMetrics
from services.ingest.metrics import IngestMetrics
from services.processor.metrics import JobMetrics
from shared.events.consumer_metrics import ConsumerMetrics
from shared.metrics import HttpMetrics

FOLDER = PROJECT / "deploy" / "observability"
FAMILIES = {"count", "sum", "bucket", "total"}


def declared() -> set[str]:
    """Every series that a service may show, without the endings of its kind."""
    registry = CollectorRegistry()
    for metrics in (HttpMetrics, ConsumerMetrics, IngestMetrics, JobMetrics, CatalogMetrics):
        metrics(registry)
    return {family.name for family in registry.collect()}


def expressions() -> dict[str, str]:
    rules = yaml.safe_load((FOLDER / "rules.yml").read_text())
    found = {
        rule.get("alert") or rule["record"]: rule["expr"]
        for group in rules["groups"]
        for rule in group["rules"]
    }
    dashboard = json.loads((FOLDER / "grafana" / "dashboards" / "tripod.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    return found


@pytest.mark.parametrize(("name", "expression"), expressions().items())
def test_every_series_of_an_expression_is_one_of_ours(name: str, expression: str) -> None:
    recorded = {rule for rule in expressions() if rule.startswith("tripod:")}
    used = set(re.findall(r"\btripod[_:][a-z0-9_:]+", expression))
    ours = {re.sub(rf"_(?:{'|'.join(FAMILIES)})$", "", series) for series in used if ":" not in series}
    assert ours <= declared(), name
    assert {series for series in used if ":" in series} <= recorded, name


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    rules = yaml.safe_load((FOLDER / "rules.yml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    assert len(alerts) >= 10
    for alert in alerts:
        assert alert["labels"]["severity"] in {"warning", "critical"}
        assert set(alert["annotations"]) == {"summary", "action"}

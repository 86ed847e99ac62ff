"""The services as children of the stack: commands, environment, readiness, and the migration that runs before them."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import urllib3

from deploy.child import ChildSpec, NotReady
from deploy.config import LOOPBACK

if TYPE_CHECKING:
    from deploy.stack import EmbeddedStack

PROJECT = Path(__file__).parents[1]
BUCKET = "tripod"


def environment(stack: "EmbeddedStack") -> dict[str, str]:
    """What every service of this stack is told, without its own port."""
    secrets = stack.secrets
    return {
        "TRIPOD_ENV": "production",
        "TRIPOD_HTTP_HOST": LOOPBACK,
        "TRIPOD_BASE_URL": stack.origin_url,
        "TRIPOD_NATS_URL": stack.nats_url,
        "TRIPOD_DATABASE_URL": stack.database_url,
        "TRIPOD_S3_ENDPOINT": stack.s3_endpoint,
        "TRIPOD_S3_REGION": "us-east-1",
        "TRIPOD_S3_BUCKET": BUCKET,
        "TRIPOD_S3_ACCESS_KEY": secrets.s3_access_key,
        "TRIPOD_S3_SECRET_KEY": secrets.s3_secret_key,
        "TRIPOD_JWT_SECRET": secrets.jwt_secret,
        "TRIPOD_LINK_SECRET": secrets.link_secret,
        "TRIPOD_STORAGE_FOLDER": os.environ.get("TRIPOD_STORAGE_FOLDER") or str(stack.folder.media / BUCKET),
        **stack.config.environment,
    }


def specs(stack: "EmbeddedStack") -> list[ChildSpec]:
    """The service processes in the order they start."""
    ports = stack.ports
    origin = {
        "TRIPOD_EDGE_METRICS_PORT": str(ports.metrics),
        "TRIPOD_EDGE_PROCESSOR_URL": f"http://{LOOPBACK}:{ports.processor}",
    }
    if not stack.config.separate:
        return [
            _spec(stack, "processor", "services.processor", ports.processor),
            _spec(stack, "origin", "deploy.edge", ports.origin, origin),
        ]
    origin |= {
        "TRIPOD_EDGE_INGEST_URL": f"http://{LOOPBACK}:{ports.ingest}",
        "TRIPOD_EDGE_CATALOG_URL": f"http://{LOOPBACK}:{ports.catalog}",
    }
    return [
        _spec(stack, "catalog", "services.catalog", ports.catalog),
        _spec(stack, "processor", "services.processor", ports.processor),
        _spec(stack, "ingest", "services.ingest", ports.ingest),
        _spec(stack, "origin", "deploy.edge", ports.origin, origin),
    ]


def worker_spec(stack: "EmbeddedStack", name: str, port: int) -> ChildSpec:
    """One more processor, beside the stack's own."""
    return _spec(stack, name, "services.processor", port)


def _spec(
    stack: "EmbeddedStack", name: str, module: str, port: int, extra: dict[str, str] | None = None
) -> ChildSpec:
    env = inherited() | environment(stack) | {"TRIPOD_HTTP_PORT": str(port)} | (extra or {})
    return ChildSpec(
        name=name,
        command=(sys.executable, "-m", module),
        env=env,
        probe=lambda: probe(f"http://{LOOPBACK}:{port}/health/ready"),
        cwd=str(PROJECT),
        ready_seconds=60,
    )


def inherited() -> dict[str, str]:
    """The caller's environment, so that TRIPOD_LOG_LEVEL and the like reach the services."""
    return {**os.environ, "PYTHONUNBUFFERED": "1", "TZ": "UTC"}


def probe(url: str) -> None:
    """Raise NotReady unless the health page answers 200."""
    http = urllib3.PoolManager(timeout=urllib3.Timeout(2.0), retries=False)
    try:
        answer = http.request("GET", url)
    except urllib3.exceptions.HTTPError as error:
        reason = f"{url}: {error}"
        raise NotReady(reason) from error
    finally:
        http.clear()
    if answer.status != 200:
        reason = f"{url} answers {answer.status}: {answer.data[:300].decode(errors='replace')}"
        raise NotReady(reason)


def migration(stack: "EmbeddedStack", extra: dict[str, str]) -> ChildSpec:
    """The command that brings the stack's database (or the one that `extra` names) to the newest revision."""
    return ChildSpec(
        name="migrate",
        command=(sys.executable, "-m", "services.catalog", "migrate"),
        env=inherited() | environment(stack) | extra,
        probe=lambda: None,
        cwd=str(PROJECT),
    )

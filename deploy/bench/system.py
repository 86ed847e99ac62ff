"""The system under test: the embedded stack with every service its own process, and the plain app beside it."""

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import urllib3
from minio import Minio

from deploy.child import Child, ChildSpec
from deploy.config import ANY_PORTS, LOOPBACK, StackConfig
from deploy.ports import free_port
from deploy.services import BUCKET, PROJECT, inherited, probe
from deploy.stack import EmbeddedStack

# The shipped profile ends at 100 MB; the largest file here has 2 GB.
PROFILES = """
[default]
recipe = "standard"
key = "{YYYY}/{MM}/{DD}/{uuid}_{name}.{ext}"
max_bytes = {image = 104_857_600, other = 8_589_934_592}
"""


@contextlib.contextmanager
def running(parent: Path | None, environment: dict[str, str] | None = None) -> Iterator[EmbeddedStack]:
    """A stack on a folder of its own in `parent`, which goes with it. It is as durable as `make run` has it.
    `environment`: what its services are told besides."""
    with tempfile.TemporaryDirectory(prefix="tripod-bench-", dir=parent) as folder:
        profiles = Path(folder, "profiles.toml")
        profiles.write_text(PROFILES)
        config = StackConfig(
            data=Path(folder, "data"),
            ports=ANY_PORTS,
            separate=True,
            environment={"TRIPOD_PROFILES": str(profiles)} | (environment or {}),
        )
        with EmbeddedStack(config) as stack:
            yield stack


@contextlib.contextmanager
def servers(parent: Path | None) -> Iterator[EmbeddedStack]:
    """The servers alone."""
    with tempfile.TemporaryDirectory(prefix="tripod-bench-", dir=parent) as folder:
        config = StackConfig(data=Path(folder, "data"), ports=ANY_PORTS, services=False)
        with EmbeddedStack(config) as stack:
            yield stack


@contextlib.contextmanager
def plain_app(stack: EmbeddedStack) -> Iterator[tuple[str, int]]:
    """Address and process id of the UploadFile app, on the same store."""
    port = free_port(set())
    spec = ChildSpec(
        name="plain",
        command=(sys.executable, "-m", "deploy.bench.plain_app", str(port)),
        env=inherited()
        | {
            "BENCH_ENDPOINT": f"{LOOPBACK}:{stack.ports.s3}",
            "BENCH_BUCKET": BUCKET,
            "BENCH_ACCESS_KEY": stack.secrets.s3_access_key,
            "BENCH_SECRET_KEY": stack.secrets.s3_secret_key,
        },
        probe=lambda: probe(f"http://{LOOPBACK}:{port}/health/ready"),
        cwd=str(PROJECT),
    )
    with ThreadPoolExecutor(max_workers=1) as spawner:
        child = Child(spec, stack.folder.logs / "plain.log")
        child.start(spawner)
        try:
            child.wait_ready()
            yield f"http://{LOOPBACK}:{port}", child.pid
        finally:
            child.kill()


def sdk(stack: EmbeddedStack) -> Minio:
    """The minio SDK on the stack's store, with as many connections as there are clients."""
    return Minio(
        f"{LOOPBACK}:{stack.ports.s3}",
        access_key=stack.secrets.s3_access_key,
        secret_key=stack.secrets.s3_secret_key,
        secure=False,
        region="us-east-1",
        http_client=urllib3.PoolManager(maxsize=16, retries=False),
    )


def settle(stack: EmbeddedStack, rows: int, seconds: float = 300) -> None:
    """Return when the catalog has that many rows: its work must not fall into the next way's time."""
    deadline = time.monotonic() + seconds
    with psycopg.connect(dsn(stack.database_url), autocommit=True) as connection:
        while True:
            found = connection.execute("SELECT count(*) FROM media").fetchone()
            if found is not None and found[0] >= rows:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"the catalog has {found} of {rows} rows after {seconds:g} s")
            time.sleep(0.05)


def dsn(url: str) -> str:
    """SQLAlchemy's address of a database as psycopg wants it."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)

"""What a container of this project may do and what it holds."""

import json
import subprocess

import pytest

from deploy import dotenv
from deploy.services import PROJECT
from tests.fixtures.compose import ComposeStack

SERVICES = ("ingest", "processor", "catalog")
SECRETS = [name for name in dotenv.read(dotenv.EXAMPLE) if name.endswith(("_SECRET", "_PASSWORD"))]
PIXELS = ("PIL", "pyvips", "imagehash", "numpy")
DATABASE = ("sqlalchemy", "psycopg", "alembic")


def python(compose: ComposeStack, service: str, script: str) -> str:
    return compose.inside(service, "python", "-c", script).strip()


@pytest.mark.parametrize(
    ("service", "holds", "lacks"),
    [
        ("ingest", ("multipart",), (*PIXELS, *DATABASE, "pip")),
        ("processor", PIXELS, (*DATABASE, "pip")),
        ("catalog", DATABASE, (*PIXELS, "pip")),
    ],
)
def test_an_image_holds_the_libraries_of_its_service_only(
    compose: ComposeStack, service: str, holds: tuple[str, ...], lacks: tuple[str, ...]
) -> None:
    names = (*holds, *lacks)
    found = json.loads(
        python(
            compose,
            service,
            f"import importlib.util as u, json; print(json.dumps([n for n in {names!r} if u.find_spec(n)]))",
        )
    )
    assert found == list(holds)


@pytest.mark.parametrize("service", [*SERVICES, "edge"])
def test_a_process_is_nobody_without_capabilities_on_a_read_only_system(
    compose: ComposeStack, service: str
) -> None:
    status = compose.inside(service, "cat", "/proc/1/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == ["10001"] * 4
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"
    mounts = compose.inside(service, "cat", "/proc/mounts").splitlines()
    root = next(line.split() for line in mounts if line.split()[1] == "/")
    assert "ro" in root[3].split(",")


@pytest.mark.parametrize("part", ["postgres", "nats", "minio"])
def test_a_server_runs_on_a_read_only_system_too(compose: ComposeStack, part: str) -> None:
    mounts = compose.inside(part, "cat", "/proc/mounts").splitlines()
    root = next(line.split() for line in mounts if line.split()[1] == "/")
    assert "ro" in root[3].split(",")
    status = compose.inside(part, "cat", "/proc/1/status")
    assert "NoNewPrivs:\t1" in status
    assert "CapEff:\t0000000000000000" in status


def test_only_the_edge_is_published(compose: ComposeStack) -> None:
    lines = compose.run("ps", "--format", "json").splitlines()
    parts = [json.loads(line) for line in lines]
    published = {
        (part["Service"], port["PublishedPort"])
        for part in parts
        for port in part["Publishers"] or []
        if port["PublishedPort"]
    }
    assert published == {("edge", compose.port)}


@pytest.mark.parametrize("name", SECRETS)
def test_nothing_starts_without_this_secret(compose: ComposeStack, name: str) -> None:
    settings = dotenv.read(compose.env_file) | {name: ""}
    file = compose.folder / f"without-{name}"
    file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    done = subprocess.run(
        ["docker", "compose", "--project-name", "tripod-none", "--env-file", str(file), "config", "--quiet"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert name in done.stderr


def test_the_sandbox_of_the_processor_has_all_but_the_user_namespace(compose: ComposeStack) -> None:
    lines = [json.loads(line) for line in compose.logs()["processor"].splitlines() if line.startswith("{")]
    assert any(line["event"] == "sandbox.ready" for line in lines)
    missing = [line["guard"] for line in lines if line["event"] == "sandbox.guard_missing"]
    # Docker's own filter refuses user namespaces; some hosts and engines allow them.
    assert {guard.partition(" (")[0] for guard in missing} <= {"user namespace"}


TRY = """
import io, os
from minio import Minio
from minio.error import S3Error

client = Minio("minio:9000", access_key=os.environ["TRIPOD_S3_ACCESS_KEY"],
    secret_key=os.environ["TRIPOD_S3_SECRET_KEY"], secure=False, region="us-east-1")

def may(action):
    try:
        action()
    except S3Error as error:
        assert error.code == "AccessDenied", error
        return False
    return True

for key in ("2000/01/01/probe", "variants/2000/01/01/probe"):
    print(int(may(lambda: client.put_object("tripod", key, io.BytesIO(b"x"), 1))), end="")
    print(int(may(lambda: client.remove_object("tripod", key))), end="")
print(int(may(lambda: client.make_bucket("another"))), end="")
print(int(may(lambda: list(client.list_buckets()) == [] or client.bucket_exists("tripod"))), end="")
"""


@pytest.mark.parametrize(
    ("service", "rights"),
    # put and delete an original, put and delete a variant, make a bucket, read
    [("ingest", "110001"), ("processor", "001101"), ("catalog", "000001")],
)
def test_the_store_key_of_a_service_can_do_what_the_service_does_and_nothing_else(
    compose: ComposeStack, service: str, rights: str
) -> None:
    assert python(compose, service, TRY) == rights

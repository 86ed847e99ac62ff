"""Compose, its settings and the images agree with each other and with the lock."""

import re
import stat
from pathlib import Path

import pytest
import yaml

from deploy import dotenv
from deploy.nginx.configuration import configuration, quoted
from deploy.nginx.files import all_pages
from deploy.services import PROJECT

COMPOSE = (PROJECT / "compose.yaml").read_text()
LOCKS = sorted((PROJECT / "deploy" / "requirements").glob("*.lock"))
# What a requirement says, and all of its hashes.
PINNED = re.compile(r"^(\S+==\S+(?: ; [^\\\n]+)?) \\\n((?:    --hash=\S+(?: \\)?\n)+)", re.MULTILINE)


def pins(file: Path) -> dict[str, str]:
    return {found[1].partition(" ;")[0]: found[2] for found in PINNED.finditer(file.read_text())}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_an_image_installs_what_the_whole_lock_holds(lock: Path) -> None:
    whole, part = pins(PROJECT / "requirements.lock"), pins(lock)
    assert len(part) >= 3
    assert part.items() <= whole.items()
    # And nothing in it escapes the hashes.
    assert len(part) == len(re.findall(r"^\S+==", lock.read_text(), re.MULTILINE))


def test_every_setting_of_compose_is_in_the_example_and_no_other() -> None:
    assert set(re.findall(r"\$\{(\w+)", COMPOSE)) == set(dotenv.read(dotenv.EXAMPLE))


# What the images and Compose itself decide: addresses of the parts, keys of one service, and what is for tests alone.
FIXED = {
    "TRIPOD_DATABASE_URL", "TRIPOD_ENV", "TRIPOD_FAILPOINT", "TRIPOD_HTTP_HOST", "TRIPOD_HTTP_PORT",
    "TRIPOD_NATS_URL", "TRIPOD_NATS_USER", "TRIPOD_PROCESSOR_SCRATCH",
    "TRIPOD_S3_ACCESS_KEY", "TRIPOD_S3_BUCKET", "TRIPOD_S3_ENDPOINT",
    "TRIPOD_S3_REGION", "TRIPOD_S3_SECRET_KEY", "TRIPOD_STORAGE_FOLDER",
}  # fmt: skip
# Secrets among them, which the others have no business with.
OF_CATALOG = {
    "TRIPOD_DELIVERY", "TRIPOD_DELIVERY_SECONDS", "TRIPOD_S3_PUBLIC_ENDPOINT", "TRIPOD_S3_READ_ACCESS_KEY",
    "TRIPOD_S3_READ_SECRET_KEY", "TRIPOD_PURGE_URL", "TRIPOD_PURGE_SECRET", "TRIPOD_LIVE_CONNECTIONS",
    "TRIPOD_LIVE_PER_CALLER",
}  # fmt: skip
OF_PROCESSOR = {"TRIPOD_FFMPEG"}
OF_CLIENTS = {"TRIPOD_URL", "TRIPOD_TOKEN"}


def test_every_setting_of_a_service_can_be_made_in_the_env_file() -> None:
    table = set(re.findall(r"`(TRIPOD_[A-Z0-9_]+)`", (PROJECT / "README.md").read_text()))
    theirs = {name for name in table if not name.startswith("TRIPOD_EDGE_")} - OF_CLIENTS - FIXED
    services = yaml.safe_load(COMPOSE)["services"]
    for service in ("ingest", "processor", "catalog"):
        passed = {name for name, value in services[service]["environment"].items() if value is None}
        named = set(re.findall(r"\$\{(TRIPOD_\w+)", COMPOSE))
        others = {"ingest": OF_CATALOG | OF_PROCESSOR, "processor": OF_CATALOG, "catalog": OF_PROCESSOR}[
            service
        ]
        assert theirs - others - passed - named == set(), service
        assert not passed & others


def test_every_secret_is_required_and_none_has_a_default() -> None:
    for name in dotenv.read(dotenv.EXAMPLE):
        forms = set(re.findall(rf"\$\{{{name}(:.)", COMPOSE))
        assert forms == ({":?"} if name.endswith(("_SECRET", "_PASSWORD")) else {":-"}), name


def test_defaults_of_compose_are_those_of_the_example() -> None:
    defaults = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", COMPOSE))
    example = dotenv.read(dotenv.EXAMPLE)
    assert defaults == {name: example[name] for name in defaults}


def test_settings_are_written_once_with_fresh_secrets_for_their_owner_only(tmp_path: Path) -> None:
    dotenv.write(tmp_path / "one")
    dotenv.write(tmp_path / "two")
    one, two = dotenv.read(tmp_path / "one"), dotenv.read(tmp_path / "two")
    secrets = [name for name in one if name.endswith(("_SECRET", "_PASSWORD"))]
    assert len(secrets) >= 8
    for name in secrets:
        assert len(one[name]) >= 32
        assert one[name] != two[name]
    assert len({one[name] for name in secrets}) == len(secrets)
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        dotenv.write(tmp_path / "one")


def test_a_name_of_compose_is_one_that_the_edge_knows() -> None:
    services = yaml.safe_load(COMPOSE)["services"]
    text = configuration(all_pages({"openapi": "3.1.0", "paths": {}}))
    for name, port in {"ingest": 8001, "catalog": 8002, "processor": 8003}.items():
        assert name in services
        assert f"{name}:{port}" in text
    assert "@" not in re.sub(r"@(?:nothing|unavailable|unready)\b", "", text)


def test_nginx_cannot_be_told_a_text_with_a_dollar() -> None:
    assert quoted('say "hi" \\') == '"say \\"hi\\" \\\\"'
    with pytest.raises(ValueError, match="variable"):
        quoted("5 $ each")

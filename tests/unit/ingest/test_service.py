"""The service from outside without any server: its settings and what it says of itself."""

from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from services.catalog.settings import CatalogSettings
from services.ingest.app import Outside, create_app
from services.ingest.fields import NAMES
from services.ingest.settings import IngestSettings
from shared.errors import SettingsError
from shared.events.bus import Bus
from shared.events.memory import MemoryBus
from shared.events.messages import MediaType
from shared.storage.memory import MemoryBlobs

ENVIRONMENT = {
    "TRIPOD_JWT_SECRET": "a secret of the tests with more than 32 bytes",
    "TRIPOD_S3_ACCESS_KEY": "key",
    "TRIPOD_S3_SECRET_KEY": "secret",
}


async def in_memory(_settings: IngestSettings) -> Bus:
    return MemoryBus()


OUTSIDE = Outside(bus=in_memory, blobs=lambda _: MemoryBlobs())


@pytest.fixture
def document() -> dict[str, Any]:
    app = create_app(IngestSettings.from_env(ENVIRONMENT), OUTSIDE)
    with TestClient(app) as client:
        found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def test_settings_have_safe_defaults() -> None:
    settings = IngestSettings.from_env(ENVIRONMENT)
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 8001)
    assert settings.timing.renew < settings.timing.lease / 3
    assert "default" in settings.profiles


def test_the_limit_of_the_library_is_one_for_all_types_and_that_of_personas_lies_above_those_of_types() -> (
    None
):
    def limits(**said: str) -> tuple[set[int], dict[MediaType, int]]:
        known = IngestSettings.from_env(ENVIRONMENT | said).profiles
        return set(known["library"].max_bytes.values()), known["persona"].max_bytes

    assert limits() == ({10 * 2**20}, {"image": 10 * 2**20, "video": 100 * 2**20})
    assert limits(TRIPOD_LIBRARY_MAX_BYTES="5", TRIPOD_PERSONAS_MAX_BYTES="52428800") == (
        {5},
        {"image": 10 * 2**20, "video": 50 * 2**20},
    )
    assert limits(MAX_FILE_SIZE="20971520")[0] == {20 * 2**20}


def test_every_wrong_variable_is_named_at_once() -> None:
    wrong = {
        "TRIPOD_JWT_SECRET": "short",
        "TRIPOD_HTTP_PORT": "x",
        "TRIPOD_INGEST_LEASE": "-1",
        "TRIPOD_INGEST_BULK_ABOVE": "0",
    }
    with pytest.raises(SettingsError) as refusal:
        IngestSettings.from_env(wrong)
    for name in [*wrong, "TRIPOD_S3_ACCESS_KEY", "TRIPOD_S3_SECRET_KEY"]:
        assert name in refusal.value.detail
    assert "short" not in refusal.value.detail


def test_the_document_shows_the_bodies_that_are_read_by_hand(document: dict[str, Any]) -> None:
    form = document["paths"]["/v1/uploads"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {"file", *NAMES}
    assert form["properties"]["file"]["format"] == "binary"
    assert form["required"] == ["file"]
    raw = document["paths"]["/v1/uploads/raw/{filename}"]["put"]
    assert raw["requestBody"]["content"]["application/octet-stream"]["schema"]["format"] == "binary"
    assert {p["name"] for p in raw["parameters"] if p["in"] == "query"} == set(NAMES)
    assert {p["name"] for p in raw["parameters"] if p["in"] == "path"} == {"filename"}
    assert {p["name"] for p in raw["parameters"] if p["in"] == "header"} == {
        "Content-Digest",
        "Idempotency-Key",
        "Prefer",
        "Repr-Digest",
    }


def test_every_refusal_in_the_document_has_an_example_that_is_a_problem(document: dict[str, Any]) -> None:
    for path, method in (("/v1/uploads", "post"), ("/v1/uploads/raw/{filename}", "put")):
        responses = document["paths"][path][method]["responses"]
        assert set(responses) >= {"201", "202", "400", "401", "403", "404", "409", "413", "415", "422", "503"}
        for status, response in responses.items():
            if status[0] == "2":
                assert response["content"]["application/json"]["schema"]["$ref"].endswith("/Media")
                continue
            (example,) = response["content"]["application/problem+json"]["examples"].values()
            assert example["value"]["status"] == int(status)
            assert len(example["value"]["detail"]) > 20


def test_a_service_without_the_counter_is_alive_and_not_ready() -> None:
    with TestClient(create_app(IngestSettings.from_env(ENVIRONMENT), OUTSIDE)) as client:
        assert client.get("/health/live").status_code == 200
        answer = client.get("/health/ready")
        assert answer.status_code == 503
        assert "ok" not in answer.json()["checks"]["counter"]
        assert "tripod_ingest_open_intents" in client.get("/metrics").text


def test_the_librarys_limit_is_that_of_its_variable() -> None:
    settings = IngestSettings.from_env({**ENVIRONMENT, "MAX_FILE_SIZE": "20971520"})
    assert set(settings.profiles["library"].max_bytes.values()) == {20_971_520}
    assert settings.profiles["persona"].max_bytes["image"] == 10_485_760


def test_a_fault_in_a_profile_stops_the_start_of_both_services_that_read_it(tmp_path: Path) -> None:
    file = tmp_path / "profiles.toml"
    file.write_text('[mine]\nrecipe = "standard"\nkey = "{uuid"\nmax_bytes = { image = 1 }\n')
    for settings in (IngestSettings, CatalogSettings):
        with pytest.raises(
            SettingsError, match=r"Profile 'mine' in .*profiles\.toml: the key '{uuid' is none"
        ):
            settings.from_env(ENVIRONMENT | {"TRIPOD_PROFILES": str(file)})

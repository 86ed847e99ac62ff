import pytest

from services.processor.settings import Settings
from shared.env import Env
from shared.errors import SettingsError

ENVIRON = {"TRIPOD_S3_ACCESS_KEY": "key", "TRIPOD_S3_SECRET_KEY": "secret"}


def test_the_processor_needs_no_secret_but_that_of_the_store() -> None:
    settings = Settings.from_env(Env(ENVIRON))
    assert settings.http.port == 8003
    assert settings.jobs >= 1
    assert settings.limits.pixels == 100_000_000
    assert settings.limits.memory_bytes == 2**31


def test_limits_come_from_the_environment() -> None:
    asked = {
        "TRIPOD_PROCESSOR_JOBS": "3",
        "TRIPOD_PROCESSOR_MEMORY_MIB": "512",
        "TRIPOD_PROCESSOR_CPU_SECONDS": "7",
        "TRIPOD_PROCESSOR_SECONDS": "9.5",
        "TRIPOD_PROCESSOR_MEGAPIXELS": "12",
        "TRIPOD_PROCESSOR_ORIGINAL_MIB": "10",
    }
    settings = Settings.from_env(Env(ENVIRON | asked))
    assert settings.jobs == 3
    assert settings.original_bytes == 10 * 2**20
    limits = settings.limits
    assert (limits.memory_bytes, limits.cpu_seconds, limits.wall_seconds, limits.pixels) == (
        2**29,
        7,
        9.5,
        12_000_000,
    )


def test_every_wrong_variable_is_named() -> None:
    wrong = {"TRIPOD_PROCESSOR_JOBS": "0", "TRIPOD_PROCESSOR_SECONDS": "soon"}
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(Env(wrong))
    for name in ("TRIPOD_PROCESSOR_JOBS", "TRIPOD_PROCESSOR_SECONDS", "TRIPOD_S3_ACCESS_KEY"):
        assert name in caught.value.detail

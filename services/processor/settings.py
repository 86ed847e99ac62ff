"""The settings of the processor, read once at start."""

import os

import msgspec

from services.processor.film_settings import FilmSettings
from services.processor.frames import Limits
from shared import recipes
from shared.env import Env
from shared.events.jetstream import BusSettings
from shared.http import HttpSettings
from shared.log import LogSettings
from shared.recipes import Recipes
from shared.storage.s3 import S3Settings

_MEBIBYTE = 1024 * 1024


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All of them. `jobs`: how many children run at once; `original_bytes`: the longest file that is fetched."""

    http: HttpSettings
    bus: BusSettings
    s3: S3Settings
    log: LogSettings = LogSettings()
    limits: Limits = Limits()
    recipes: Recipes
    jobs: int = 2
    original_bytes: int = 256 * _MEBIBYTE
    films: FilmSettings = FilmSettings()

    @classmethod
    def from_env(cls, env: Env) -> "Settings":
        """Raises SettingsError that names every wrong variable."""
        processors = len(os.sched_getaffinity(0))
        found = cls(
            http=HttpSettings.from_env(env, port=8003),
            bus=BusSettings.from_env(env),
            s3=S3Settings.from_env(env),
            log=LogSettings.from_env(env),
            limits=_limits(env),
            recipes=recipes.load(env),
            jobs=env.integer("TRIPOD_PROCESSOR_JOBS", processors, least=1, most=256),
            original_bytes=_MEBIBYTE
            * env.integer("TRIPOD_PROCESSOR_ORIGINAL_MIB", 256, least=1, most=16 * 1024),
        )
        found = msgspec.structs.replace(found, films=FilmSettings.from_env(env, processors=processors))
        env.check()
        return found


def _limits(env: Env) -> Limits:
    return Limits(
        memory_bytes=_MEBIBYTE * env.integer("TRIPOD_PROCESSOR_MEMORY_MIB", 2048, least=64, most=64 * 1024),
        cpu_seconds=env.integer("TRIPOD_PROCESSOR_CPU_SECONDS", 60, least=1, most=3600),
        wall_seconds=env.seconds("TRIPOD_PROCESSOR_SECONDS", 90, least=1, most=3600),
        pixels=1_000_000 * env.integer("TRIPOD_PROCESSOR_MEGAPIXELS", 100, least=1, most=1000),
    )

"""The settings of ingest, read once at start."""

from collections.abc import Mapping

import msgspec

from services.ingest.accounts import Limits
from services.ingest.rates import RateLimits
from shared import profiles
from shared.auth import AuthSettings
from shared.dialects.settings import DialectSettings
from shared.env import Env
from shared.events.jetstream import BusSettings
from shared.http import HttpSettings
from shared.log import LogSettings
from shared.profiles import Profiles
from shared.storage.s3 import S3Settings

_MOST = 2**53 - 1  # what every JSON reader takes for the same number


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds. A lease is renewed every `renew` and taken over when it is `lease` old; `reply`: how long an
    upload waits for the catalog."""

    lease: float = 45
    renew: float = 10
    sweep: float = 60
    reply: float = 0.3
    heartbeat: float = 3

    @classmethod
    def from_env(cls, env: Env) -> "Timing":
        lease = env.seconds("TRIPOD_INGEST_LEASE", cls().lease, least=0.5, most=3600)
        return cls(
            lease=lease,
            renew=lease / 4.5,
            sweep=env.seconds("TRIPOD_INGEST_SWEEP", cls().sweep, least=0.2, most=3600),
        )


class IngestSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All of them. `bulk_above`: from how many uploads a minute on an owner's events go the bulk lane; `quota`: of an
    owner whose token names no other; `searches`: how many pictures are looked at at once to find similar ones."""

    http: HttpSettings
    auth: AuthSettings
    bus: BusSettings
    s3: S3Settings
    profiles: Profiles
    log: LogSettings = LogSettings()
    timing: Timing = Timing()
    dialects: DialectSettings = DialectSettings()
    bulk_above: int = 60
    quota: Limits = Limits()
    rates: RateLimits = RateLimits()
    searches: int = 4

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "IngestSettings":
        """Raises SettingsError that names every wrong variable."""
        env = Env(environ)
        dialects = DialectSettings.from_env(env)
        found = cls(
            http=HttpSettings.from_env(env, port=8001),
            auth=AuthSettings.from_env(env),
            bus=BusSettings.from_env(env),
            s3=S3Settings.from_env(env),
            profiles=_limited(profiles.load(env), dialects),
            log=LogSettings.from_env(env),
            timing=Timing.from_env(env),
            dialects=dialects,
            bulk_above=env.integer("TRIPOD_INGEST_BULK_ABOVE", 60, least=1, most=1_000_000),
            quota=Limits(
                bytes=env.integer("TRIPOD_QUOTA_BYTES", 0, least=0, most=_MOST),
                objects=env.integer("TRIPOD_QUOTA_OBJECTS", 0, least=0, most=_MOST),
            ),
            searches=env.integer("TRIPOD_SIMILAR_AT_ONCE", 4, least=1, most=1000),
            rates=RateLimits(
                uploads=env.integer("TRIPOD_RATE_UPLOADS", 0, least=0, most=1_000_000),
                bytes=env.integer("TRIPOD_RATE_BYTES", 0, least=0, most=_MOST),
            ),
        )
        env.check()
        return found


def _limited(known: Profiles, dialects: DialectSettings) -> Profiles:
    """The profiles with the limits that two older systems have as one setting: the library's is that of all its
    types, the personas' is one above those of its types."""
    library, persona = known["library"], known["persona"]
    one = dialects.largest.get("library", library.widest)
    most = dialects.largest.get("personas", persona.widest)
    capped = {kind: min(limit, most) for kind, limit in persona.max_bytes.items()}
    return {
        **known,
        "library": msgspec.structs.replace(library, max_bytes=dict.fromkeys(library.max_bytes, one)),
        "persona": msgspec.structs.replace(persona, max_bytes=capped),
    }

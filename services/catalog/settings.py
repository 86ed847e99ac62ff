"""What the catalog is told by its environment."""

from collections.abc import Mapping

import msgspec

from services.catalog.database import DatabaseSettings
from services.catalog.failed import Ages
from services.catalog.listeners import LiveSettings
from services.catalog.presigned import RedirectSettings
from services.catalog.purging import PurgeSettings
from services.catalog.texts_stems import DEFAULT as SEARCH_LANGUAGES
from services.catalog.texts_stems import languages_from_env
from shared.auth import AuthSettings
from shared.dialects.settings import DialectSettings
from shared.env import Env
from shared.events.jetstream import BusSettings
from shared.events.topology import PURGER, Topology
from shared.http import HttpSettings
from shared.links import LinkSettings
from shared.log import LogSettings
from shared.presets import Presets
from shared.presets import load as load_presets
from shared.profiles import Profiles
from shared.profiles import load as load_profiles
from shared.storage.s3 import S3Settings


class CatalogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of one catalog process. Times in seconds.

    `redirects`: the store hands files out itself; `purge`: whom to tell what caches must forget; None of either is not.
    `profiles`: what becomes of their media when an entity goes. `presets`: pictures on request, by name.
    `variant_wait`: how long a request waits for a variant or a picture that is being made. `stale`: after how long
    without a result a media is announced again. `janitor`: between two rounds that erase what no row names; 0 is
    never. `failed`: after how long media that failed are deleted.
    `languages`: whose words are found in any form.
    `moderation_distance`: in how many bits of its hash a picture may differ from a rejected one and be flagged.
    `pages`: whether there are pages for people.
    """

    http: HttpSettings
    auth: AuthSettings
    log: LogSettings
    links: LinkSettings
    bus: BusSettings
    store: S3Settings
    database: DatabaseSettings
    profiles: Profiles = msgspec.field(default_factory=lambda: load_profiles(Env({})))
    presets: Presets = msgspec.field(default_factory=lambda: load_presets(Env({})))
    dialects: DialectSettings = DialectSettings()
    redirects: RedirectSettings | None = None
    purge: PurgeSettings | None = None
    live: LiveSettings = LiveSettings()
    variant_wait: float = 10
    stale: float = 900

    janitor: float = 86400
    failed: Ages = Ages()
    languages: tuple[str, ...] = SEARCH_LANGUAGES
    moderation_distance: int = 5
    pages: bool = True

    @property
    def cascading(self) -> frozenset[str]:
        """Those of `profiles` that cascade."""
        return cascading(self.profiles)

    @property
    def single(self) -> frozenset[str]:
        """Those of `profiles` of which a slot holds one media."""
        return single(self.profiles)

    @property
    def topology(self) -> Topology:
        """What this catalog needs on the broker."""
        found = self.bus.topology
        if self.purge is None:
            return found
        return msgspec.structs.replace(found, durables=(*found.durables, PURGER))

    @property
    def open_profiles(self) -> frozenset[str]:
        """Those of `profiles` of whose public media anybody may hear as things happen."""
        return frozenset(name for name, profile in self.profiles.items() if profile.live == "anyone")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "CatalogSettings":
        """Raises SettingsError that names every wrong variable."""
        env = Env(environ)
        store, profiles = S3Settings.from_env(env), load_profiles(env)
        settings = cls(
            http=HttpSettings.from_env(env, port=8002),
            auth=AuthSettings.from_env(env),
            log=LogSettings.from_env(env),
            links=LinkSettings.from_env(env),
            bus=BusSettings.from_env(env),
            store=store,
            database=DatabaseSettings.from_env(env),
            profiles=profiles,
            presets=load_presets(env),
            dialects=DialectSettings.from_env(env),
            redirects=RedirectSettings.from_env(env, store),
            purge=PurgeSettings.from_env(env),
            live=LiveSettings.from_env(env),
            variant_wait=env.seconds("TRIPOD_VARIANT_WAIT", 10, least=0, most=60),
            stale=env.seconds("TRIPOD_STALE_SECONDS", 900, least=10, most=86400),
            janitor=env.seconds("TRIPOD_JANITOR_SECONDS", 86400, least=0, most=31_536_000),
            languages=languages_from_env(env),
            failed=Ages.from_env(env, profiles),
            moderation_distance=env.integer("TRIPOD_MODERATION_DISTANCE", 5, least=0, most=10),
            pages=env.choice("TRIPOD_PAGES", "on", ("on", "off")) == "on",
        )
        env.check()
        return settings


def cascading(profiles: Profiles) -> frozenset[str]:
    """The profiles whose media go with their entity; those of others are taken off it."""
    return frozenset(name for name, profile in profiles.items() if profile.on_entity_delete == "cascade")


def single(profiles: Profiles) -> frozenset[str]:
    """The profiles whose slots hold one media: a new one replaces the former."""
    return frozenset(name for name, profile in profiles.items() if profile.single)

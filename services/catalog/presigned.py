"""Files handed out by the store itself: redirects to addresses that it takes for a while, signed with a key that can
read and nothing else."""

import asyncio
import time
import uuid
from contextlib import suppress
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec
import structlog
from yarl import URL

from shared.env import Env
from shared.errors import Unavailable
from shared.storage.s3 import S3Settings
from shared.storage.s3_http import child_text, parse_xml
from shared.storage.s3_sign import Signer

log = structlog.get_logger()

LOOK_SECONDS = 5.0  # between attempts to ask the store what the key may do
MOST_ANSWER = 65_536


class RedirectSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`endpoint`: the store's address as clients reach it. `seconds`: for how long at least an address holds; at most
    twice as long. `proven`: none is given out before the store has refused that the key writes."""

    endpoint: str
    access_key: str
    secret_key: str
    seconds: int = 300
    proven: bool = True

    @classmethod
    def from_env(cls, env: Env, store: S3Settings) -> "RedirectSettings | None":
        """None where files go through the catalog."""
        how = env.choice("TRIPOD_DELIVERY", "proxy", ("proxy", "redirect"))
        seconds = env.integer("TRIPOD_DELIVERY_SECONDS", 300, least=10, most=600)
        if how == "proxy":
            return None
        access_key = env.text("TRIPOD_S3_READ_ACCESS_KEY", "")
        secret_key = env.text("TRIPOD_S3_READ_SECRET_KEY", "")
        for name, value in (
            ("TRIPOD_S3_READ_ACCESS_KEY", access_key),
            ("TRIPOD_S3_READ_SECRET_KEY", secret_key),
        ):
            if not value:
                env.complain(
                    name, "", "with TRIPOD_DELIVERY=redirect a key that may read the bucket and no more"
                )
        if access_key and access_key == store.access_key and not env.development:
            env.complain(
                "TRIPOD_S3_READ_ACCESS_KEY",
                access_key,
                "another key than TRIPOD_S3_ACCESS_KEY: clients see it",
            )
        if not env.development and not env.text("TRIPOD_S3_PUBLIC_ENDPOINT", ""):
            env.complain("TRIPOD_S3_PUBLIC_ENDPOINT", "", "the store's address as clients reach it")
        endpoint = env.url("TRIPOD_S3_PUBLIC_ENDPOINT", store.endpoint, schemes=("https", "http"))
        return cls(
            endpoint=endpoint,
            access_key=access_key,
            secret_key=secret_key,
            seconds=seconds,
            proven=not env.development,
        )


class Address(msgspec.Struct, frozen=True):
    """Where a file is to be had, and for how many seconds a cache may keep the way there."""

    url: str
    keep: int


class Redirects:
    """Makes such addresses. All that are made for one file within `seconds` are the same, so that caches work."""

    def __init__(self, settings: RedirectSettings, store: S3Settings) -> None:
        self._settings = settings
        self._store = store
        endpoint = urlsplit(settings.endpoint)
        self._base = f"{endpoint.scheme}://{endpoint.netloc}"
        self._signer = Signer(endpoint.netloc, store.region, settings.access_key, settings.secret_key)
        self.ready = not settings.proven
        """Whether addresses are given out."""

    def address(
        self,
        key: str,
        *,
        mime_type: str,
        disposition: str,
        until: int | None = None,
        now: float | None = None,
    ) -> Address:
        """Type and disposition are under the signature. `until`: the end of the link that gave the right, in Unix
        seconds; the address ends then, too."""
        moment = time.time() if now is None else now
        window = self._settings.seconds
        signed_at = int(moment) // window * window
        ends = signed_at + 2 * window if until is None else min(signed_at + 2 * window, until)
        ends = max(ends, int(moment) + 1)
        keep = max(min(ends - int(moment), window) // 2, 0)
        path = quote(f"/{self._store.bucket}/{key}", safe="/-_.~")
        query = self._signer.presigned_get(
            path,
            parameters={
                "response-cache-control": f"private, max-age={window}",
                "response-content-disposition": disposition,
                "response-content-type": mime_type,
            },
            seconds=ends - signed_at,
            at=signed_at,
        )
        return Address(f"{self._base}{path}?{query}", keep)

    async def keep_proving(self, stop: asyncio.Event) -> None:
        """Ask until the store has said what the key may do. Files go through the catalog before that, and for good
        where the key can do more than read."""
        while not stop.is_set() and not self.ready:
            may = await self._may_delete()
            if may:
                log.error("delivery.key_can_write", setting="TRIPOD_S3_READ_ACCESS_KEY", delivery="proxy")
                break
            if may is False:
                self.ready = True
                log.info("delivery.redirects")
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
        await stop.wait()

    async def _may_delete(self) -> bool | None:
        """Whether the key may delete; asked of an object that nobody has. None where the store does not say."""
        endpoint = urlsplit(self._store.endpoint)
        signer = Signer(
            endpoint.netloc, self._store.region, self._settings.access_key, self._settings.secret_key
        )
        path = f"/{self._store.bucket}/variants/{uuid.uuid4()}"
        url = URL(f"{endpoint.scheme}://{endpoint.netloc}{path}", encoded=True)
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LOOK_SECONDS)) as session,
                session.delete(url, headers=signer.signed("DELETE", path, "", {})) as answer,
            ):
                body = await answer.content.read(MOST_ANSWER)
                if answer.status != 403:
                    return True if answer.status < 300 else None
                code = child_text(parse_xml(body, "delete"), "Code")
        except (aiohttp.ClientError, TimeoutError, OSError, Unavailable) as error:
            log.info("delivery.key_not_proven", reason=type(error).__name__)
            return None
        if code == "AccessDenied":
            return False
        log.warning("delivery.key_not_proven", reason=code)
        return None

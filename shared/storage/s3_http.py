"""Signed requests to an S3 store over aiohttp, and what their answers and failures mean."""

import asyncio
import contextlib
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from typing import TypeVar
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree as ET

import aiohttp
import msgspec
from yarl import URL

from shared.env import Env
from shared.errors import RangeNotSatisfiable, Unavailable
from shared.storage.blobs import BlobMissing
from shared.storage.s3_again import StoreFault
from shared.storage.s3_sign import Signer

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
KEEP_ALIVE_SECONDS = (
    10  # less than any store keeps an idle connection, so that we do not write into a closed one
)
CONNECTIONS = 256
RETRY_PAUSES = (0.1, 0.4)

T = TypeVar("T")


class S3Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Which store, which bucket, and the key pair for it."""

    endpoint: str = "http://127.0.0.1:9000"
    region: str = "us-east-1"
    bucket: str = "tripod"
    access_key: str
    secret_key: str

    @classmethod
    def from_env(cls, env: Env) -> "S3Settings":
        access_key = env.text("TRIPOD_S3_ACCESS_KEY", "")
        secret_key = env.text("TRIPOD_S3_SECRET_KEY", "")
        bucket = env.text("TRIPOD_S3_BUCKET", "tripod")
        if not access_key:
            env.complain("TRIPOD_S3_ACCESS_KEY", access_key, "the access key of the object store")
        if not secret_key:
            env.complain("TRIPOD_S3_SECRET_KEY", "", "the secret key of the object store")
        if not 3 <= len(bucket) <= 63:
            env.complain("TRIPOD_S3_BUCKET", bucket, "a bucket name of 3 to 63 characters")
        return cls(
            endpoint=env.url("TRIPOD_S3_ENDPOINT", "http://127.0.0.1:9000", schemes=("http", "https")),
            region=env.text("TRIPOD_S3_REGION", "us-east-1"),
            bucket=bucket,
            access_key=access_key,
            secret_key=secret_key,
        )


class S3Http:
    """Requests on one bucket. Every failure to answer is raised as Unavailable, without keys or signatures."""

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        endpoint = urlsplit(settings.endpoint)
        self._base = f"{endpoint.scheme}://{endpoint.netloc}"
        self._signer = Signer(endpoint.netloc, settings.region, settings.access_key, settings.secret_key)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
            await asyncio.sleep(0)  # the transports close in the next turn of the loop

    async def open(
        self,
        method: str,
        key: str,
        what: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | AsyncIterable[bytes] | None = None,
        ask_first: bool = False,
    ) -> aiohttp.ClientResponse:
        """An answer of status 2xx, its body unread; the caller closes it. `what` completes "... refuses to".
        `ask_first`: nothing of `data` is read before the store wants it (100 Continue).

        Raises BlobMissing, RangeNotSatisfiable, Unavailable.
        """
        url, signed = self._sign(method, key, query or {}, headers or {})
        try:
            response = await self._open_session().request(
                method, url, headers=signed, data=data, allow_redirects=False, expect100=ask_first
            )
            if response.status < 300:
                return response
            try:
                # Not response.read(): that would first wait until all of our body is sent.
                raise refusal(response, await response.content.read(), key, what)
            finally:
                response.close()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unreachable(error, what) from error

    async def fetch(
        self,
        method: str,
        key: str,
        what: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | AsyncIterable[bytes] | None = None,
        ask_first: bool = False,
    ) -> tuple[Mapping[str, str], bytes]:
        """Headers and body of a small answer. Raises as `open` does."""
        response = await self.open(
            method, key, what, query=query, headers=headers, data=data, ask_first=ask_first
        )
        try:
            return response.headers, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unreachable(error, what) from error
        finally:
            response.release()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=CONNECTIONS, limit_per_host=0, keepalive_timeout=KEEP_ALIVE_SECONDS
                ),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=CONNECT_SECONDS, sock_read=ANSWER_SECONDS
                ),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session

    def _sign(
        self, method: str, key: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[URL, dict[str, str]]:
        path = quote(f"/{self._settings.bucket}/{key}" if key else f"/{self._settings.bucket}", safe="/-_.~")
        asked = urlencode(sorted(query.items()), quote_via=quote) if query else ""
        url = f"{self._base}{path}?{asked}" if asked else f"{self._base}{path}"
        return URL(url, encoded=True), self._signer.signed(method, path, asked, headers)


async def repeated(call: Callable[[], Awaitable[T]]) -> T:
    """The result of a call that does no harm when repeated; tried three times."""
    for pause in RETRY_PAUSES:
        try:
            return await call()
        except Unavailable:
            await asyncio.sleep(pause)
    return await call()


def refusal(response: aiohttp.ClientResponse, body: bytes, key: str, what: str) -> Exception:
    """The meaning of an answer that is not 2xx."""
    status, code, text = response.status, "", ""
    with contextlib.suppress(Unavailable):
        answer = parse_xml(body, what)
        code, text = child_text(answer, "Code"), child_text(answer, "Message")
    # An answer to HEAD has no body that could name the code.
    unnamed = not code and key and response.method not in {"PUT", "POST"}
    if status == 404 and (code in {"NoSuchKey", "NoSuchUpload"} or unnamed):
        return BlobMissing(key)
    if status == 416:
        return RangeNotSatisfiable(f"The range lies outside of the {key!r} that is stored.")
    reason = f"{status} {code}".strip() + (f", {text}" if text else "")
    kind = StoreFault if status == 500 else Unavailable
    return kind(f"The object store refuses to {what}: {reason}.")


def unreachable(error: Exception, what: str) -> Unavailable:
    """The texts of the libraries may hold the whole URL, so only the kind of error is repeated."""
    kind = "it did not answer in time" if isinstance(error, TimeoutError) else type(error).__name__
    return Unavailable(f"The object store is not reachable ({kind}): {what}.")


def parse_xml(body: bytes, what: str) -> ET.Element:
    """An XML answer without its namespace. Raises Unavailable for anything else, also for XML that declares
    entities, which no store needs and which can be made to fill the memory."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise Unavailable(f"The object store answered with a document type: {what}.")
    try:
        root = ET.fromstring(body)  # noqa: S314 - entities are refused above
    except ET.ParseError as error:
        raise Unavailable(f"The object store answered with something else than XML: {what}.") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def child_text(element: ET.Element, name: str) -> str:
    """The text of a child; empty where there is none."""
    return element.findtext(name) or ""

"""A key-value bucket on JetStream. Reads go to the stream's leader: a stale answer would defeat compare-and-set."""

import base64
import contextlib
import itertools
import re
import secrets
from collections.abc import Mapping
from datetime import datetime

import msgspec
from nats.aio.msg import Msg

from shared.errors import Unavailable
from shared.events.bus import Entry, KeyConflict
from shared.events.jetstream_api import NOT_FOUND, ApiError, answer, ask
from shared.events.jetstream_connection import Connection
from shared.events.jetstream_pull import Puller
from shared.events.kv_token import check_key

_WRONG_REVISION = (10071, 10164)
_STREAM_NOT_FOUND = 10059
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"
_OPERATION = "KV-Operation"
# The mark of a delete stays as long as any value of its bucket may. With an end of its own (Nats-TTL) it could go
# first, and a broker that is killed afterwards (2.15.1) finds the deleted value in its files and has it back.
_MARKER = {_OPERATION: "DEL"}
_MARKED = re.compile(rb"^(KV-Operation: *(DEL|PURGE)|Nats-Marker-Reason:)", re.MULTILINE)
_TRIES = 5
_KEYS_AT_ONCE = 500


class JetStreamKeyValue:
    """See `bus.KeyValue`."""

    def __init__(self, connection: Connection, bucket: str, inbox: str) -> None:
        self._connection = connection
        self._bucket = bucket
        self._stream = f"KV_{bucket}"
        self._prefix = f"$KV.{bucket}."
        self._inbox = inbox

    async def get(self, key: str) -> Entry | None:
        entry, deleted = await self._newest(key)
        return None if deleted else entry

    async def create(self, key: str, value: bytes) -> int:
        revision = 0
        for _ in range(_TRIES):
            with contextlib.suppress(KeyConflict):
                return await self._write(key, value, {_EXPECTED: str(revision)})
            entry, deleted = await self._newest(key)
            if entry is not None and not deleted:
                break
            # The mark of a delete counts as a value there; or it has vanished in between.
            revision = entry.revision if entry else 0
        raise KeyConflict(key)

    async def update(self, key: str, value: bytes, revision: int) -> int:
        return await self._write(key, value, {_EXPECTED: str(revision)})

    async def put(self, key: str, value: bytes) -> int:
        return await self._write(key, value, {})

    async def delete(self, key: str, revision: int | None = None) -> None:
        if revision is None:
            await self._write(key, b"", _MARKER)
            return
        try:
            await self._write(key, b"", _MARKER | {_EXPECTED: str(revision)})
        except KeyConflict:
            entry, deleted = await self._newest(key)
            if entry is not None and not deleted:
                raise

    async def wipe(self, key: str) -> None:
        check_key(key)
        try:
            await ask(self._connection, f"STREAM.PURGE.{self._stream}", filter=self._prefix + key)
        except ApiError as error:
            raise Unavailable(f"{key} in bucket {self._bucket} cannot be wiped: {error}.") from error

    async def keys(self, prefix: str = "") -> list[str]:
        # Whole tokens of the prefix narrow what the broker sends.
        tokens = prefix.rpartition(".")[0]
        consumer = f"keys-{secrets.token_hex(8)}"
        try:
            made = await ask(
                self._connection,
                f"CONSUMER.CREATE.{self._stream}.{consumer}",
                stream_name=self._stream,
                config={
                    "name": consumer,
                    "deliver_policy": "last_per_subject",
                    "ack_policy": "none",
                    "filter_subject": f"{self._prefix}{tokens}.>" if tokens else f"{self._prefix}>",
                    "headers_only": True,
                    "mem_storage": True,
                    "num_replicas": 1,
                    "inactive_threshold": 30_000_000_000,
                },
            )
        except ApiError as error:
            raise self._missing(error) from error
        try:
            found = await self._read_keys(consumer) if made["num_pending"] else []
        finally:
            with contextlib.suppress(Unavailable, ApiError):
                await ask(self._connection, f"CONSUMER.DELETE.{self._stream}.{consumer}")
        return sorted(key for key in found if key.startswith(prefix))

    async def _read_keys(self, consumer: str) -> list[str]:
        keys: list[str] = []
        for turn in itertools.count():
            puller = Puller(self._connection, self._stream, consumer, f"{self._inbox}.{consumer}.{turn}")
            async with self._connection.subscribed(puller.feed):
                # A broker that paused in the middle was left, and what it had sent by then was taken.
                while not puller.over:
                    messages = await puller.take(_KEYS_AT_ONCE, 2)
                    keys += [m.subject.removeprefix(self._prefix) for m in messages if not _is_marker(m)]
                    if not messages or messages[-1].metadata.num_pending == 0:
                        return keys
        raise AssertionError  # pragma: no cover - the loop returns or raises

    async def _newest(self, key: str) -> tuple[Entry | None, bool]:
        """The newest entry, and whether it is the mark of a delete."""
        check_key(key)
        try:
            found = await ask(
                self._connection, f"STREAM.MSG.GET.{self._stream}", last_by_subj=self._prefix + key
            )
        except ApiError as error:
            if error.status == NOT_FOUND and error.code != _STREAM_NOT_FOUND:
                return None, False
            raise self._missing(error) from error
        message = found["message"]
        entry = Entry(
            key=key,
            value=base64.b64decode(message.get("data", "")),
            revision=message["seq"],
            created=msgspec.convert(message["time"], datetime),
        )
        return entry, bool(_MARKED.search(base64.b64decode(message.get("hdrs", ""))))

    async def _write(self, key: str, value: bytes, headers: Mapping[str, str]) -> int:
        check_key(key)
        what = f"write {key} in bucket {self._bucket}"
        message = await self._connection.request(self._prefix + key, value, what, headers=headers)
        try:
            return int(answer(message.data, what)["seq"])
        except ApiError as error:
            if error.code in _WRONG_REVISION:
                raise KeyConflict(key) from error
            raise Unavailable(f"The message broker refuses to {what}: {error}.") from error

    def _missing(self, error: ApiError) -> Unavailable:
        return Unavailable(f"The bucket {self._bucket} cannot be read: {error}.")


def _is_marker(message: Msg) -> bool:
    headers = message.headers or {}
    return _OPERATION in headers or "Nats-Marker-Reason" in headers

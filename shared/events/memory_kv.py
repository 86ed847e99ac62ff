"""A bucket in memory."""

from datetime import UTC, datetime, timedelta

from shared.errors import Unavailable
from shared.events.bus import Entry, KeyConflict
from shared.events.kv_token import check_key
from shared.events.memory_broker import MemoryBroker, MemoryBucket, Value


class MemoryKeyValue:
    """See `bus.KeyValue`."""

    def __init__(self, broker: MemoryBroker, bucket: str) -> None:
        self._broker = broker
        self._name = bucket

    async def get(self, key: str) -> Entry | None:
        value = self._value(self._bucket(), key)
        if value is None:
            return None
        age = timedelta(seconds=self._broker.now() - value.written)
        return Entry(key=key, value=value.value, revision=value.revision, created=datetime.now(UTC) - age)

    async def create(self, key: str, value: bytes) -> int:
        return self._write(key, value, expected=0)

    async def update(self, key: str, value: bytes, revision: int) -> int:
        return self._write(key, value, expected=revision)

    async def put(self, key: str, value: bytes) -> int:
        return self._write(key, value, expected=None)

    async def delete(self, key: str, revision: int | None = None) -> None:
        bucket = self._bucket()
        current = self._value(bucket, key)
        if current is None:
            return
        if revision is not None and current.revision != revision:
            raise KeyConflict(key)
        bucket.revision += 1
        del bucket.values[key]

    async def wipe(self, key: str) -> None:
        await self.delete(key)

    async def keys(self, prefix: str = "") -> list[str]:
        bucket = self._bucket()
        return sorted(
            key for key in list(bucket.values) if key.startswith(prefix) and self._value(bucket, key)
        )

    def _write(self, key: str, value: bytes, *, expected: int | None) -> int:
        bucket = self._bucket()
        current = self._value(bucket, key)
        if expected is not None and expected != (current.revision if current else 0):
            raise KeyConflict(key)
        bucket.revision += 1
        bucket.values[key] = Value(value=value, revision=bucket.revision, written=self._broker.now())
        return bucket.revision

    def _bucket(self) -> MemoryBucket:
        self._broker.check()
        if self._name not in self._broker.buckets:
            raise Unavailable(f"The bucket {self._name} cannot be read: it does not exist.")
        return self._broker.buckets[self._name]

    def _value(self, bucket: MemoryBucket, key: str) -> Value | None:
        check_key(key)
        value = bucket.values.get(key)
        ttl = bucket.bucket.ttl.total_seconds()
        if value is not None and ttl and self._broker.now() - value.written >= ttl:
            del bucket.values[key]
            return None
        return value

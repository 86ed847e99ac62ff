"""Makes streams, consumers and buckets on the broker equal to the table, with every value said."""

from datetime import timedelta
from typing import Any

from shared.errors import SettingsError
from shared.events.jetstream_api import NOT_FOUND, ApiError, ask
from shared.events.jetstream_connection import Connection
from shared.events.topology import Bucket, Durable, Stream, Topology

_NAME_IN_USE = 10058  # another service made it a moment ago, differently
_MINUTES_2 = timedelta(minutes=2)


async def ensure(connection: Connection, topology: Topology) -> None:
    """Idempotent, and harmless when several services do it at once. Raises SettingsError, Unavailable."""
    for stream in topology.streams:
        await _ensure_stream(connection, stream_config(stream))
    for bucket in topology.buckets:
        await _ensure_stream(connection, bucket_config(bucket))
    for durable in topology.durables:
        await _ensure_consumer(connection, durable)


def stream_config(stream: Stream) -> dict[str, Any]:
    """A stream in JetStream's words. Durations are nanoseconds, -1 means no limit."""
    return {
        "name": stream.name,
        "subjects": list(stream.subjects),
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "max_age": _nanoseconds(stream.max_age),
        "max_bytes": stream.max_bytes,
        "max_msg_size": stream.max_stored_bytes,
        "max_msgs": -1,
        "max_msgs_per_subject": -1,
        "max_consumers": -1,
        "num_replicas": stream.replicas,
        "duplicate_window": _nanoseconds(stream.duplicate_window),
        "compression": "none",
        "allow_direct": True,
        "deny_delete": False,  # what was erased must be erasable here too
        "deny_purge": False,
    }


def bucket_config(bucket: Bucket) -> dict[str, Any]:
    """The stream behind a bucket, as every NATS client expects it (ADR-8), history 1."""
    return {
        "name": f"KV_{bucket.name}",
        "subjects": [f"$KV.{bucket.name}.>"],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "max_age": _nanoseconds(bucket.ttl),
        "max_bytes": bucket.max_bytes,
        "max_msg_size": -1,
        "max_msgs": -1,
        "max_msgs_per_subject": 1,
        "max_consumers": -1,
        "num_replicas": bucket.replicas,
        "duplicate_window": _nanoseconds(min(bucket.ttl, _MINUTES_2) if bucket.ttl else _MINUTES_2),
        "compression": "none",
        "allow_direct": True,
        "allow_rollup_hdrs": True,
        "allow_msg_ttl": True,  # delete markers go by themselves, else a bucket would fill with them
        "deny_delete": True,
        "deny_purge": False,
    }


def consumer_config(durable: Durable) -> dict[str, Any]:
    """A pull consumer. No backoff here: the consumer loop hands messages back with the wait it wants."""
    config: dict[str, Any] = {
        "durable_name": durable.name,
        "name": durable.name,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": _nanoseconds(durable.ack_wait),
        "max_deliver": durable.max_deliver,
        "max_ack_pending": durable.max_ack_pending,
        "max_waiting": 512,
        "replay_policy": "instant",
        "num_replicas": 0,  # as many as the stream
    }
    if len(durable.subjects) == 1:
        return config | {"filter_subject": durable.subjects[0]}
    return config | {"filter_subjects": list(durable.subjects)}


async def _ensure_stream(connection: Connection, want: dict[str, Any]) -> None:
    name = want["name"]
    have = await _config(connection, f"STREAM.INFO.{name}")
    try:
        if have is None:
            try:
                await ask(connection, f"STREAM.CREATE.{name}", **want)
            except ApiError as error:
                if error.code != _NAME_IN_USE:
                    raise
                have = await _config(connection, f"STREAM.INFO.{name}") or {}
        if have is not None and _differences(have, want):
            await ask(connection, f"STREAM.UPDATE.{name}", **(have | want))
    except ApiError as error:
        raise _refusal("stream", name, have, want, error) from error


async def _ensure_consumer(connection: Connection, durable: Durable) -> None:
    want = consumer_config(durable)
    have = await _config(connection, f"CONSUMER.INFO.{durable.stream}.{durable.name}")
    if have is not None and not _differences(have, want):
        return
    verb = f"CONSUMER.CREATE.{durable.stream}.{durable.name}"
    if "filter_subject" in want:
        verb += f".{want['filter_subject']}"
    try:
        await ask(connection, verb, stream_name=durable.stream, config=want, action="")
    except ApiError as error:
        raise _refusal("consumer", durable.name, have, want, error) from error


async def _config(connection: Connection, verb: str) -> dict[str, Any] | None:
    try:
        info = await ask(connection, verb)
    except ApiError as error:
        if error.status == NOT_FOUND:
            return None
        raise SettingsError(f"The message broker refuses {verb}: {error}.") from error
    config: dict[str, Any] = info["config"]
    return config


def _differences(have: dict[str, Any], want: dict[str, Any]) -> dict[str, Any]:
    """What is wanted otherwise; the broker leaves out members that are zero, false or empty."""
    return {key: value for key, value in want.items() if (have.get(key) or None) != (value or None)}


def _refusal(
    kind: str, name: str, have: dict[str, Any] | None, want: dict[str, Any], error: ApiError
) -> SettingsError:
    old = have or {}
    changes = ", ".join(
        f"{key} is {old.get(key)!r} and should be {value!r}"
        for key, value in (_differences(old, want) if old else {}).items()
    )
    return SettingsError(
        f"The {kind} {name} cannot be made as wanted: {error}" + (f"; {changes}." if changes else ".")
    )


def _nanoseconds(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1e9)

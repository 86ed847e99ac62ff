"""The AsyncAPI 3.0 document of the events, made from `messages` and `topology`.

`python -m shared.events.asyncapi docs/asyncapi.json` writes it; without a path it goes to stdout.
"""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import msgspec

from shared.events import topology
from shared.events.bus import REPLY_HEADER
from shared.events.dead_letters import DeadLetter
from shared.events.messages import MAX_EVENT_BYTES, TYPES, Envelope

Action = Literal["send", "receive"]

_SCHEMAS = "#/components/schemas/"
_PARAMETERS: dict[str, dict[str, Any]] = {
    "media_type": {"enum": list(topology.MEDIA_TYPES), "description": "What kind of media it is."},
    "lane": {
        "enum": [*topology.LANES, topology.SLOW],
        "description": "`bulk` for what an owner sends above a rate, so that it delays nobody else; `slow` for "
        "images that take very long.",
    },
    "media_id": {"description": "The UUID of the media."},
    "entity_type": {"description": "The type of the entity in the other system."},
    "durable": {"description": "The consumer that gave up on the event."},
}


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """One event and where it goes. `send` is what Tripod publishes, `receive` what it wants to hear."""

    type: str
    address: str
    action: Action
    stream: str | None  # None: core NATS, heard by whoever listens at that moment


CHANNELS: tuple[Channel, ...] = (
    Channel(
        type="media.uploaded.v1",
        address=topology.uploaded("{media_type}", "{lane}"),
        action="send",
        stream=topology.MEDIA,
    ),
    *(
        Channel(
            type=f"media.{event}.v1",
            address=topology.media_subject(event, "{media_type}"),
            action="send",
            stream=topology.MEDIA,
        )
        for event in (
            "rejected",
            "processed",
            "failed",
            "reprocess_requested",
            "deleted",
            "created",
            "updated",
            "moderated",
        )
    ),
    Channel(
        type="entity.upserted.v1",
        address="entity.v1.upserted.{entity_type}",
        action="receive",
        stream=topology.REGISTRY,
    ),
    Channel(
        type="entity.deleted.v1",
        address="entity.v1.deleted.{entity_type}",
        action="receive",
        stream=topology.REGISTRY,
    ),
    Channel(type="user.deleted.v1", address="user.v1.deleted", action="receive", stream=topology.REGISTRY),
    Channel(type="progress.v1", address=topology.progress("{media_id}"), action="send", stream=None),
)


def document(release: str) -> dict[str, Any]:
    """The whole document; `release` is the version of the project."""
    (envelope, letter, *_), schemas = msgspec.json.schema_components(
        (Envelope, DeadLetter, *TYPES.values()), ref_template=_SCHEMAS + "{name}"
    )
    shape = schemas.pop(envelope["$ref"].removeprefix(_SCHEMAS))
    messages = {name: _message(name, shape) for name in TYPES}
    messages["dead_letter"] = {
        "name": "dead_letter",
        "title": "DeadLetter",
        "contentType": "application/json",
        "payload": letter,
    }
    dead = topology.dead_letter("{durable}")
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Tripod events", "version": release, "description": _ABOUT},
        "defaultContentType": "application/cloudevents+json",
        "servers": {"broker": {"host": "localhost:4222", "protocol": "nats"}},
        "channels": {
            channel.type: _channel(channel.address, channel.type, channel.stream) for channel in CHANNELS
        }
        | {"dead_letter": _channel(dead, "dead_letter", topology.DEAD)},
        "operations": {
            f"{channel.action}.{channel.type}": _operation(channel.type, channel.action)
            for channel in CHANNELS
        }
        | {"send.dead_letter": _operation("dead_letter", "send")},
        "components": {"messages": messages, "schemas": schemas},
    }


_ABOUT = (
    f"CloudEvents 1.0 in JSON structured mode over NATS, at most {MAX_EVENT_BYTES} bytes each. Stored events are "
    "delivered at least once and may come in another order than they happened; `id` tells repetitions. "
    "New members may be added to an event at any time; anything else is a new type. "
    f"A sender that wants to hear of the commit names a core subject in the header `{REPLY_HEADER}`."
)


def _message(name: str, envelope: dict[str, Any]) -> dict[str, Any]:
    """A message whose payload is the envelope with this event in it."""
    struct = TYPES[name].__name__
    properties = envelope["properties"] | {
        "type": {"const": name},
        "data": {"$ref": _SCHEMAS + struct},
    }
    return {
        "name": name,
        "title": struct,
        "summary": (TYPES[name].__doc__ or "").strip(),
        "contentType": "application/cloudevents+json",
        "payload": {
            "title": f"{struct}Event",
            "type": "object",
            "required": envelope["required"],
            "properties": properties,
        },
    }


def _channel(address: str, message: str, stream: str | None) -> dict[str, Any]:
    names = [part[1:-1] for part in address.split(".") if part.startswith("{")]
    stored = f"Stored in the JetStream stream {stream}." if stream else "Core NATS, never stored."
    return {
        "address": address,
        "description": stored,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        **({"parameters": {name: _PARAMETERS[name] for name in names}} if names else {}),
    }


def _operation(channel: str, action: Action) -> dict[str, Any]:
    reference = f"#/channels/{channel}"
    return {
        "action": action,
        "channel": {"$ref": reference},
        "messages": [{"$ref": f"{reference}/messages/{channel}"}],
    }


def main(arguments: list[str]) -> None:
    """Write the document to the path given, or to stdout."""
    text = msgspec.json.format(msgspec.json.encode(document(version("tripod"))), indent=2) + b"\n"
    if arguments:
        path = Path(arguments[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    else:
        sys.stdout.buffer.write(text)


if __name__ == "__main__":
    main(sys.argv[1:])

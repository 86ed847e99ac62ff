"""The request for a rendering, and its answers: core messages between catalog and processor, never stored."""

import uuid
from typing import TypeAlias

import msgspec

from shared.rendering import Rendering


class RenderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Make this of the original of `mime_type` under `key`, unless it is there. `owner` of the media: owners take
    turns; empty from a catalog that does not tell it yet."""

    id: uuid.UUID
    key: str
    mime_type: str
    rendering: Rendering
    owner: str = ""


class Rendered(msgspec.Struct, frozen=True, kw_only=True, tag="rendered"):
    """It is in the object store."""

    key: str


class NotRendered(msgspec.Struct, frozen=True, kw_only=True, tag="not_rendered"):
    """It is not, and why; `retryable`: another time it may."""

    code: str
    detail: str
    retryable: bool = False


STOPPING = "stopping"
"""The code of a processor that stops in the middle: another one is to be asked, and that at once."""

RenderAnswer: TypeAlias = Rendered | NotRendered

_encoder = msgspec.json.Encoder()
_request = msgspec.json.Decoder(RenderRequest)
_answer: msgspec.json.Decoder[RenderAnswer] = msgspec.json.Decoder(RenderAnswer)


def encode(message: RenderRequest | RenderAnswer) -> bytes:
    return _encoder.encode(message)


def read_request(data: bytes) -> RenderRequest:
    """Raises msgspec.MsgspecError for what is none."""
    return _request.decode(data)


def read_answer(data: bytes) -> RenderAnswer:
    """Raises msgspec.MsgspecError for what is none."""
    return _answer.decode(data)

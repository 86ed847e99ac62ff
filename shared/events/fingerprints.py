"""The request for a perceptual hash, and its answers: core messages from ingest to processor, never stored."""

import uuid
from typing import TypeAlias

import msgspec

from shared.events.messages import PictureLimits


class FingerprintRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is the picture of `mime_type` under `key` known by? It is read as the recipe would have it."""

    id: uuid.UUID
    key: str
    mime_type: str
    recipe: str
    limits: PictureLimits | None = None


class Fingerprinted(msgspec.Struct, frozen=True, kw_only=True, tag="fingerprinted"):
    """Its hash, those of the picture turned as `shared.turns` has it, and whether they say too little to compare."""

    phash: str
    phash_turned: tuple[str, ...]
    degenerate: bool


class NotFingerprinted(msgspec.Struct, frozen=True, kw_only=True, tag="not_fingerprinted"):
    """It has none, and why; `retryable`: another time it may."""

    code: str
    detail: str
    retryable: bool = False


FingerprintAnswer: TypeAlias = Fingerprinted | NotFingerprinted

_encoder = msgspec.json.Encoder()
_request = msgspec.json.Decoder(FingerprintRequest)
_answer: msgspec.json.Decoder[FingerprintAnswer] = msgspec.json.Decoder(FingerprintAnswer)


def encode(message: FingerprintRequest | FingerprintAnswer) -> bytes:
    return _encoder.encode(message)


def read_request(data: bytes) -> FingerprintRequest:
    """Raises msgspec.MsgspecError for what is none."""
    return _request.decode(data)


def read_answer(data: bytes) -> FingerprintAnswer:
    """Raises msgspec.MsgspecError for what is none."""
    return _answer.decode(data)

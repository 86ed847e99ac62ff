"""Digest fields: what is understood, what is ignored, what is malformed, and what does not hold."""

import base64
import hashlib
from collections.abc import AsyncIterator

import pytest

from services.ingest.digest_fields import CONTENT, Promised, parse
from shared.errors import Invalid, Malformed

SHA256 = hashlib.sha256(b"abc").digest()
SHA512 = hashlib.sha512(b"abc").digest()


def field(algorithm: str, digest: bytes) -> str:
    return f"{algorithm}=:{base64.b64encode(digest).decode()}:"


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], {}),
        ([""], {}),
        ([field("sha-256", SHA256)], {"sha-256": SHA256}),
        (
            [field("sha-512", SHA512) + ", " + field("sha-256", SHA256)],
            {"sha-512": SHA512, "sha-256": SHA256},
        ),
        ([field("sha-512", SHA512), field("sha-256", SHA256)], {"sha-512": SHA512, "sha-256": SHA256}),
        ([field("md5", b"x" * 16)], {}),
        ([field("sha-256", SHA256) + ';a=1;b="c"'], {"sha-256": SHA256}),
        ([field("sha-256", b"x" * 32), field("sha-256", SHA256)], {"sha-256": SHA256}),
    ],
)
def test_a_digest_field_is_a_dictionary_of_bytes(values: list[str], found: dict[str, bytes]) -> None:
    assert parse(CONTENT, values) == found


def test_padding_may_be_left_out() -> None:
    assert parse(CONTENT, [f"sha-256=:{base64.b64encode(SHA256).decode().rstrip('=')}:"]) == {
        "sha-256": SHA256
    }


@pytest.mark.parametrize(
    "value",
    [
        SHA256.hex(),
        f"sha-256={base64.b64encode(SHA256).decode()}",
        f"SHA-256=:{base64.b64encode(SHA256).decode()}:",
        "sha-256=:!!:",
        "sha-256=:YQ==:",
        "sha-256=:Y:",
        "sha-256=::",
        "sha-256",
        field("sha-256", SHA256) + ",",
        "md5=7",
        field("md5", b"x" * 5000),
        "sha-256=:" + "a" * 44 + ";" * 3000,
    ],
)
def test_a_digest_field_that_is_none_is_malformed(value: str) -> None:
    with pytest.raises(Malformed, match="Content-Digest"):
        parse(CONTENT, [value])


async def passed(promised: Promised, *, file: bytes | None = None) -> None:
    """Let the body `abc` pass, and a file in it."""
    pieces = [b"a", b"bc", b""]

    async def read() -> bytes:
        return pieces.pop(0)

    async def chunks() -> AsyncIterator[bytes]:
        yield file or b""

    hashed = promised.body(read)
    while await hashed():
        pass
    if file is not None:
        assert b"".join([piece async for piece in promised.file(chunks())]) == file


async def test_what_came_as_it_was_promised_is_taken() -> None:
    both = {"sha-256": SHA256, "sha-512": SHA512}
    promised = Promised(both, both)
    await passed(promised)
    await promised.check()


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
@pytest.mark.parametrize("header", ["Content-Digest", "Repr-Digest"])
async def test_what_came_otherwise_is_refused_with_both_digests(header: str, algorithm: str) -> None:
    right = {"sha-256": SHA256, "sha-512": SHA512}[algorithm]
    wrong = {algorithm: right[::-1]}
    promised = Promised(wrong, {}) if header == "Content-Digest" else Promised({}, wrong)
    await passed(promised)
    with pytest.raises(Invalid) as refusal:
        await promised.check()
    for word in (header, field(algorithm, right), field(algorithm, right[::-1])):
        assert word in refusal.value.detail


async def test_the_file_of_a_form_may_be_promised_by_repr_digest_alone() -> None:
    of_file = {"sha-256": hashlib.sha256(b"b").digest()}
    for representation in (of_file, {"sha-256": SHA256}):
        promised = Promised({"sha-256": SHA256}, representation)
        await passed(promised, file=b"b")
        await promised.check()
    promised = Promised(of_file, {})
    await passed(promised, file=b"b")
    with pytest.raises(Invalid, match="Content-Digest"):
        await promised.check()
    promised = Promised({}, {"sha-256": hashlib.sha256(b"c").digest()})
    await passed(promised, file=b"b")
    with pytest.raises(Invalid, match="the file in it"):
        await promised.check()

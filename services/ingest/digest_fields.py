"""Content-Digest and Repr-Digest (RFC 9530): what a client says that its bytes hash to, held against what came."""

import base64
import binascii
import re
from collections.abc import AsyncIterator, Mapping, Sequence

from services.ingest.body import Read
from services.ingest.digest import Digest
from shared.errors import Invalid, Malformed

CONTENT, REPR = "Content-Digest", "Repr-Digest"

# The algorithms that are verified, and the length of each; the others of the registry prove nothing.
_SIZES = {"sha-256": 32, "sha-512": 64}
_BARE = r"(?:[A-Za-z*][!-+\-.0-:<A-Z^-~/]*|-?[0-9.]+|\"[^\"]*\"|:[A-Za-z0-9+/=]*:|\?[01])"
_MEMBER = re.compile(
    rf"([a-z*][a-z0-9_\-.*]*)=:([A-Za-z0-9+/=]*):(?: *;[ ]*[a-z*][a-z0-9_\-.*]*(?:={_BARE})?)*"
)
_MOST = 4096


def parse(header: str, values: Sequence[str]) -> dict[str, bytes]:
    """The digests of a header by algorithm, only those that are known here. Raises Malformed."""
    text = ",".join(values).strip(" \t")
    found: dict[str, bytes] = {}
    if not text:
        return found
    if len(text) > _MOST:
        raise _malformed(header, "it is too long")
    for member in text.split(","):
        match = _MEMBER.fullmatch(member.strip(" \t"))
        if match is None:
            raise _malformed(header, f"{member.strip()[:80]!r} is no digest")
        algorithm, encoded = match.groups()
        if algorithm in _SIZES:
            found[algorithm] = _decoded(header, algorithm, encoded)
    return found


class Promised:
    """What the headers of one request promise of its bytes. Let the body, and the file in a form, pass through it,
    then `check`. Where nothing is promised nothing is hashed.

    A Repr-Digest of a form is, by RFC 9530, 3.1, that of the form; that of its file is taken as well, for this is
    what clients know.
    """

    def __init__(self, content: Mapping[str, bytes], representation: Mapping[str, bytes]) -> None:
        self._promises = {CONTENT: content, REPR: representation}
        self._body = {name: Digest(_hashlib(name)) for name in (*content, *representation)}
        self._file: dict[str, Digest] = {}

    def body(self, read: Read) -> Read:
        """The same body, hashed on its way."""
        if not self._body:
            return read

        async def hashed() -> bytes:
            piece = await read()
            for digest in self._body.values():
                await digest.update(piece)
            return piece

        return hashed

    def file(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same file of a form, hashed on its way."""
        self._file = {name: Digest(_hashlib(name)) for name in self._promises[REPR]}
        return self._hashed(chunks) if self._file else chunks

    async def _hashed(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in chunks:
            for digest in self._file.values():
                await digest.update(piece)
            yield piece

    @property
    def sha256(self) -> str | None:
        """In hex what the file hashes to, where the body is the file and that is promised."""
        told = self._promises[REPR].get("sha-256") or self._promises[CONTENT].get("sha-256")
        return None if told is None else told.hex()

    async def check(self) -> None:
        """When all has come. Raises Invalid where it is not what was promised."""
        for header, promised in self._promises.items():
            for algorithm, digest in promised.items():
                came = {await self._body[algorithm].digest(): "the body"}
                if header == REPR and algorithm in self._file:
                    came[await self._file[algorithm].digest()] = "the file in it"
                if digest not in came:
                    raise _broken(header, algorithm, digest, came)


def _hashlib(algorithm: str) -> str:
    return algorithm.replace("-", "")


def _broken(header: str, algorithm: str, digest: bytes, came: Mapping[bytes, str]) -> Invalid:
    found = ", ".join(f"{what} has {_shown(algorithm, got)}" for got, what in came.items())
    return Invalid(
        f"The {header} says {_shown(algorithm, digest)}, but {found}. The bytes were damaged on their way, or the "
        "digest is of others.",
        header=header,
    )


def _shown(algorithm: str, digest: bytes) -> str:
    return f"{algorithm}=:{base64.b64encode(digest).decode()}:"


def _decoded(header: str, algorithm: str, encoded: str) -> bytes:
    try:
        digest = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error as error:
        raise _malformed(header, f"{encoded[:100]!r} is not base64") from error
    if len(digest) != _SIZES[algorithm]:
        raise _malformed(
            header, f"the {algorithm} in it has {len(digest)} bytes instead of {_SIZES[algorithm]}"
        )
    return digest


def _malformed(header: str, why: str) -> Malformed:
    return Malformed(
        f"The {header} cannot be read: {why}. It looks like 'sha-256=:<base64>:' (RFC 9530); sha-256 and sha-512 are "
        "verified."
    )

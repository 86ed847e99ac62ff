"""Office documents: which one a zip or an OLE file is, by its members; from the head, or proved while it streams."""

import io
import struct
import zipfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping

from shared.errors import UnsupportedType
from shared.formats import BY_EXTENSION, OCTETS, Format

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP_MEMBER = b"PK\x03\x04"
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_SIZES_FOLLOW, _DEFLATED = 8, 8
TAIL_BYTES = (
    256 * 1024
)  # of a zip's end, to find its directory in; these documents have a few hundred members
_ENTRY_BYTES = (
    128  # of a directory of OLE; the name comes first, in UTF-16, then its length and what it names
)

# Open Packaging (ISO/IEC 29500-2): the folder that a document's own parts are in says what it is.
_FOLDERS = {"word/": "docx", "xl/": "xlsx", "ppt/": "pptx"}
_PACKAGE = ("[Content_Types].xml", "_rels/.rels", "docProps/")
_OPEN_DOCUMENTS = ("odt", "ods", "odp")
# With a password all of an Open Packaging document is one stream of an OLE file (MS-OFFCRYPTO).
_LOCKED = {"EncryptedPackage": "locked"}
_STREAMS = {"WordDocument": "doc", "Workbook": "xls", "Book": "xls", "PowerPoint Document": "ppt"}


def _of(extension: str) -> Format:
    return BY_EXTENSION[extension][0]


def in_zip(head: bytes) -> str:
    """What a zip is by those members whose headers are in the head; OpenDocument by its first."""
    said = _mimetype(head)
    for extension in _OPEN_DOCUMENTS:
        if said == _of(extension).mime.encode():
            return _of(extension).mime
    packaged = _open_xml(_members(head))
    return _of(packaged).mime if packaged else "application/zip"


def in_ole(head: bytes) -> str | None:
    """What an OLE file (MS-CFB) is by those entries of its directory that are in the head; the first one tells."""
    found = sorted((at, extension) for extension, at in _entries(head, 0, _STREAMS))
    return _of(found[0][1]).mime if found else None


def may_prove(claim: Format, head: bytes) -> bool:
    """Whether a file that begins like this, and does not show yet what it is, may turn out to be what is claimed."""
    if claim.extension in _FOLDERS.values():
        return head.startswith((_ZIP_MEMBER, OLE))
    return claim.extension in _STREAMS.values() and head.startswith(OLE)


def needs_proof(found: Format, head: bytes) -> bool:
    """Whether the head alone does not show that a file is this document."""
    return may_prove(found, head) and (in_zip if head.startswith(_ZIP_MEMBER) else in_ole)(head) != found.mime


async def proved(found: Format, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same pieces, of a file that claims to be this document. Raises UnsupportedType where it is not, once all
    have come."""
    proof = _proof(found)
    async for piece in pieces:
        proof.feed(piece)
        yield piece
    if not proof.shows(found.extension):
        raise UnsupportedType(
            f"The file claims to be {found.mime}, but it has not the parts of such a document.",
            claimed=found.mime,
            found=proof.otherwise,
        )


def is_whole(claim: Format, file: bytes) -> bool:
    """Whether these bytes, all that there are, are the document that is claimed."""
    proof = _proof(claim)
    proof.feed(file)
    return proof.shows(claim.extension)


class _PackageProof:
    """A zip of parts, or an OLE file in which one is locked up: that is believed to be what it claims."""

    otherwise = "application/zip"

    def __init__(self) -> None:
        self._zip, self._ole = _ZipProof(), _OleProof(_LOCKED)

    def feed(self, piece: bytes) -> None:
        self._zip.feed(piece)
        self._ole.feed(piece)

    def shows(self, extension: str) -> bool:
        return self._zip.shows(extension) or (self._ole.is_ole and self._ole.shows("locked"))


class _ZipProof:
    """Keeps the end of a zip, where its directory is."""

    def __init__(self) -> None:
        self._tail = bytearray()

    def feed(self, piece: bytes) -> None:
        self._tail += piece
        if len(self._tail) > 2 * TAIL_BYTES:
            del self._tail[:-TAIL_BYTES]

    def shows(self, extension: str) -> bool:
        try:
            with zipfile.ZipFile(io.BytesIO(self._tail)) as directory:
                return _open_xml(directory.namelist()) == extension
        except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, struct.error):
            return False


class _OleProof:
    """Watches for the entries of an OLE directory, wherever its sectors are."""

    otherwise = OCTETS

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._seen: set[str] = set()
        self._head = b""
        self._at = 0
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        data = self._rest + piece
        self._head += piece[: len(OLE) - len(self._head)]
        self._seen |= {extension for extension, _ in _entries(data, self._at, self._names)}
        self._rest = data[len(data) - len(data) % _ENTRY_BYTES :]
        self._at += len(data) - len(self._rest)

    @property
    def is_ole(self) -> bool:
        return self._head == OLE

    def shows(self, extension: str) -> bool:
        return extension in self._seen  # one document may hold others


def _proof(claim: Format) -> _PackageProof | _OleProof:
    return _PackageProof() if claim.extension in _FOLDERS.values() else _OleProof(_STREAMS)


def _open_xml(names: Iterable[str]) -> str | None:
    packaged, folder = False, None
    for name in names:
        packaged = packaged or name.startswith(_PACKAGE)
        folder = folder or next((known for known in _FOLDERS if name.startswith(known)), None)
    return _FOLDERS[folder] if packaged and folder else None


def _mimetype(head: bytes) -> bytes:
    """What the first member says, which OpenDocument writes plainly so that it can be read there."""
    if len(head) < _LOCAL_HEADER.size:
        return b""
    *_, length, name, extra = _LOCAL_HEADER.unpack_from(head)
    start = _LOCAL_HEADER.size + name
    if head[_LOCAL_HEADER.size : start] != b"mimetype":
        return b""
    return head[start + extra : start + extra + min(length, 128)]


def _members(head: bytes) -> Iterator[str]:
    """The names in those local headers that can be come to without unpacking anything."""
    at = 0
    while head.startswith(_ZIP_MEMBER, at) and at + _LOCAL_HEADER.size <= len(head):
        _, _, flags, method, _, _, _, packed, _, name, extra = _LOCAL_HEADER.unpack_from(head, at)
        start = at + _LOCAL_HEADER.size
        yield head[start : start + name].decode(errors="replace")
        at = start + name + extra + packed
        if flags & _SIZES_FOLLOW and not packed:
            # The next signature is the next member, unless this one is stored as it is: that may be a zip itself.
            at = head.find(_ZIP_MEMBER, at) if method == _DEFLATED else len(head)
            if at < 0:
                return


def _entries(data: bytes, offset: int, names: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """The kind of document and the place of each entry that is named after one; `offset` is where the data begins
    in its file."""
    for name, extension in names.items():
        text = name.encode("utf-16-le") + b"\0\0"
        at = data.find(text)
        while at >= 0:
            tail = data[at + 64 : at + 67]
            if (at + offset) % _ENTRY_BYTES == 0 and tail == len(text).to_bytes(2, "little") + b"\x02":
                yield extension, at
            at = data.find(text, at + 2)

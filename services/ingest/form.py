"""A multipart form, read as it arrives: fields into memory, the file's bytes handed on, nothing kept."""

import re
from collections.abc import AsyncIterator, Iterator
from urllib.parse import unquote

import msgspec
from multipart import (
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
)

from services.ingest import limits
from services.ingest.body import Read
from services.ingest.limits import bytes_text
from shared.errors import Invalid, Malformed, TooLarge, TripodError, UnsupportedType

FILE = "file"
_BOUNDARY = re.compile(r"""[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]""")  # RFC 2046, 5.1.1
_OPTION = re.compile(r""";\s*boundary\s*=\s*(?:"([^"]*)"|([^\s;"]*))""", re.IGNORECASE)
_TRANSFER_ENCODINGS = {"7bit", "8bit", "binary"}  # those that leave the bytes as they are
_CHARSETS = ("utf-8", "us-ascii", "iso-8859-1", "windows-1252")
_EXTENDED_NAME = re.compile(r"filename\*\s*=\s*utf-8''([^;\s]+)", re.IGNORECASE)


class FilePart(msgspec.Struct, frozen=True, kw_only=True):
    """The file part's own headers; its name and type are claims."""

    filename: str
    declared: str


def boundary_of(content_type: str, name: str = FILE) -> str:
    """The boundary that a Content-Type names. Raises UnsupportedType where it is no form, Malformed where it
    has no usable boundary."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise UnsupportedType(
            f"The Content-Type is {kind!r}; this takes multipart/form-data with a part named {name!r}. "
            "To send a file as the whole body, use PUT /v1/uploads/raw/{filename}."
        )
    match = _OPTION.search(content_type)
    found = (match.group(1) or match.group(2) or "") if match else ""
    if not found:
        raise Malformed(
            "The Content-Type has no boundary; let the HTTP client make the header, it must read "
            "'multipart/form-data; boundary=...'."
        )
    if not _BOUNDARY.fullmatch(found):
        raise Malformed(f"The boundary {found[:80]!r} is not one that RFC 2046 allows (1 to 70 characters).")
    return found


class Form:
    """One form. Call `file`, read the file by iterating over `chunks`, then `rest`; `fields` and `received`, the bytes
    read, grow meanwhile. Of a form with many files call `next_file` instead, until there is none. `name` is that of
    the files' parts, `also` are others that they may have.

    Raises Malformed for what is no form, TooLarge and Invalid for what goes beyond the limits.
    """

    def __init__(self, read: Read, boundary: str, name: str = FILE, *, also: tuple[str, ...] = ()) -> None:
        self.fields: dict[str, list[str]] = {}
        self._name = name
        self._names = {name, *also}
        self._read = read
        self._boundary = boundary
        self._parser = PushMultipartParser(
            boundary,
            max_header_size=limits.PART_HEADER_BYTES,
            max_header_count=limits.PART_HEADERS,
            max_segment_count=limits.FORM_PARTS,
        )
        self._events: Iterator[MultipartSegment | bytes | None] = iter(())
        self.received = 0
        self._parts = 0
        self._field_bytes = 0
        self._ended = False

    async def file(self) -> FilePart:
        """The file part, after the fields before it were read. Raises Malformed where the form has none."""
        part = await self.next_file()
        if part is None:
            raise self.without_file()
        return part

    def without_file(self) -> Malformed:
        return Malformed(
            f"The form has no part named {self._name!r}; it has {_listed(self.fields)}.", field=self._name
        )

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes of the file part, in the pieces in which they come."""
        while (event := await self._event()) is not None:
            if isinstance(event, bytes):
                yield event

    async def rest(self) -> None:
        """Read the fields after the file up to the form's end. Raises Invalid for a second file."""
        if await self.next_file() is not None:
            raise Invalid(
                f"The form has more than one part named {self._name!r}; send one file.", field=self._name
            )

    async def next_file(self) -> FilePart | None:
        """Read fields until a file part begins; None at the end of the form."""
        while not self._ended:
            segment = await self._event()
            if not isinstance(segment, MultipartSegment):
                continue
            _check_part(segment)
            name = segment.name or ""
            if name in self._names:
                return FilePart(filename=_filename(segment), declared=segment.content_type or "")
            if segment.filename is not None:
                raise Invalid(
                    f"The part {name[:80]!r} carries a file; the file's part must be named {self._name!r}.",
                    field=self._name,
                )
            await self._field(name, _charset(segment))
        return None

    async def _field(self, name: str, charset: str) -> None:
        value = bytearray()
        async for piece in self.chunks():
            value += piece
            self._field_bytes += len(piece)
            if len(value) > limits.FORM_FIELD_BYTES:
                raise TooLarge(
                    f"The field {name[:80]!r} is longer than {bytes_text(limits.FORM_FIELD_BYTES)}.",
                    limit=limits.FORM_FIELD_BYTES,
                    field=name[:80],
                )
            if self._field_bytes > limits.FORM_FIELDS_BYTES:
                raise TooLarge(
                    f"The fields are together longer than {bytes_text(limits.FORM_FIELDS_BYTES)}.",
                    limit=limits.FORM_FIELDS_BYTES,
                    field=name[:80],
                )
        try:
            text = value.decode(charset)
        except UnicodeDecodeError as error:
            raise Malformed(
                f"The field {name[:80]!r} is not {charset.upper()} at byte {error.start}."
            ) from error
        self.fields.setdefault(name, []).append(text)

    async def _event(self) -> MultipartSegment | bytes | None:
        """The next thing the parser sees: a part's headers, bytes, or None at the end of a part or of all."""
        try:
            while True:
                for event in self._events:
                    self._parts += isinstance(event, MultipartSegment)
                    return event
                if self._ended:
                    return None
                piece = await self._read()
                self.received += len(piece)
                if self._parts == 0 and self.received > limits.PREAMBLE_BYTES + len(piece):
                    raise self._no_boundary()
                self._ended = not piece
                self._events = self._parser.parse(piece)
        except MultipartError as error:
            raise self._translated(error) from error

    def _translated(self, error: MultipartError) -> TripodError:
        if self.received == 0:
            return Malformed(f"The body is empty; it must be a form with a part named {self._name!r}.")
        if isinstance(error, ParserLimitReached):
            return Malformed(
                f"The form goes beyond a limit: {error}. Allowed are {limits.FORM_PARTS} parts with "
                f"{limits.PART_HEADERS} headers of {limits.PART_HEADER_BYTES} bytes each."
            )
        if self._ended:
            return self._cut_off() if self._parts else self._no_boundary()
        return Malformed(f"The form cannot be read: {error}.")

    def _cut_off(self) -> Malformed:
        return Malformed(
            f"The form ends after {self.received} bytes without its closing boundary '--{self._boundary}--'."
        )

    def _no_boundary(self) -> Malformed:
        return Malformed(
            f"The boundary {self._boundary!r} of the Content-Type does not begin the body; both must be the same."
        )


def _check_part(segment: MultipartSegment) -> None:
    """Raises Malformed for what two readers of the form could take for two things."""
    name = segment.name or ""
    headers = [header for header, _ in segment.headerlist]
    if not name:
        raise Malformed(
            "A part of the form has no name; its Content-Disposition must be 'form-data; name=\"...\"'."
        )
    for header in ("Content-Disposition", "Content-Type"):
        if headers.count(header) > 1:
            raise Malformed(f"The part {name[:80]!r} has more than one {header}.")
    if (segment.content_type or "").startswith("multipart/"):
        raise Malformed(
            f"The part {name[:80]!r} is a form of its own ({segment.content_type}); each file is a part of its own."
        )
    encoding = (segment.header("Content-Transfer-Encoding") or "binary").strip().lower()
    if encoding not in _TRANSFER_ENCODINGS:
        raise Malformed(
            f"The part {name[:80]!r} has the Content-Transfer-Encoding {encoding[:80]!r}; allowed are "
            f"{', '.join(sorted(_TRANSFER_ENCODINGS))}."
        )


def _charset(segment: MultipartSegment) -> str:
    """That of a field's text: UTF-8 unless it says otherwise. Raises Malformed for one that is not understood."""
    charset = (segment.charset or "utf-8").lower()
    if charset not in _CHARSETS:
        raise Malformed(
            f"The field {str(segment.name)[:80]!r} has the charset {charset[:80]!r}; allowed are "
            f"{', '.join(_CHARSETS)}."
        )
    return charset


def _filename(segment: MultipartSegment) -> str:
    """RFC 7578 wants the name plain; some clients send only the extended form, which the parser leaves out."""
    if segment.filename is not None:
        return str(segment.filename)
    match = _EXTENDED_NAME.search(segment.header("Content-Disposition") or "")
    return unquote(match.group(1), errors="replace") if match else ""


def _listed(fields: dict[str, list[str]]) -> str:
    return ", ".join(repr(name[:40]) for name in list(fields)[:20]) or "no parts"

"""XMP: a document of RDF inside the picture (ISO 16684-1), read by an XML parser that follows nothing and expands
nothing."""

from collections.abc import Mapping
from typing import TypeAlias
from xml.parsers import expat

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns# "
_DC = "http://purl.org/dc/elements/1.1/ "
_XMP = "http://ns.adobe.com/xap/1.0/ "
_PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/ "
_EXIF = "http://ns.adobe.com/exif/1.0/ "
_LANGUAGE = "http://www.w3.org/XML/1998/namespace lang"
_NAMES = {
    _DC + "title": "title",
    _DC + "description": "caption",
    _DC + "subject": "keywords",
    _DC + "creator": "creator",
    _DC + "rights": "copyright",
    _XMP + "Rating": "rating",
    _XMP + "CreatorTool": "software",
    _PHOTOSHOP + "DateCreated": "date",
    _EXIF + "DateTimeOriginal": "exif_date",
    _EXIF + "GPSLatitude": "latitude",
    _EXIF + "GPSLongitude": "longitude",
}
_SUBJECT = [_RDF + "RDF", _RDF + "Description"]  # what is said of the picture itself stands here
_MOST_ELEMENTS = 20_000
_MOST_DEPTH = 64
_MOST_VALUES = 200
_MOST_CHARACTERS = 10_000  # of one value; much more than is kept of it

Texts: TypeAlias = dict[str, list[str]]


class UnreadableXmp(ValueError):
    """The packet is no XML, or of a kind that no camera and no editor writes."""


def read_xmp(packet: bytes, names: Mapping[str, str] = _NAMES) -> Texts:
    """The texts by name, of a list all, of alternatives the default language first. Raises UnreadableXmp.

    `names`: what they are called here, by namespace, space and name.
    """
    reader = _Reader(names)
    try:
        # Padding, which some writers end with a NUL. Of UTF-16, half of each sign may be one.
        is_wide = b"\0" in packet[:4] or packet[:2] in {b"\xfe\xff", b"\xff\xfe"}
        reader.read(packet if is_wide else packet.strip(b"\0 \t\r\n"))
    except (expat.ExpatError, UnicodeError, LookupError) as error:  # an unknown encoding is a LookupError
        raise UnreadableXmp(str(error)) from error
    return reader.found


class _Reader:
    """Hears of each element once; holds nothing but the names of those that are open and the texts of ours."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self.found: Texts = {}
        self._open: list[str] = []
        self._elements = 0
        self._name: str | None = None  # of the property that is open, and how deep it is
        self._depth = 0
        self._text: list[str] | None = None
        self._length = 0
        self._is_default = False

    def read(self, packet: bytes) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.Parse(packet, True)  # noqa: FBT003 - "this is all": the parser takes it by position only

    def _refuse(self, *_: object) -> None:
        # Without a document type nothing can be declared, so there are no entities to expand or to fetch.
        raise UnreadableXmp("XMP with a document type is refused")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        self._open.append(name)
        if self._elements > _MOST_ELEMENTS or len(self._open) > _MOST_DEPTH:
            raise UnreadableXmp("it has too many elements")
        if self._open[-2:] == _SUBJECT:
            for attribute, value in attributes.items():
                if attribute in self._names:
                    self._keep(self._names[attribute], value)
        elif self._open[-3:-1] == _SUBJECT and name in self._names:
            self._name, self._depth = self._names[name], len(self._open)
            self._listen()
        elif self._name is not None and name == _RDF + "li" and len(self._open) == self._depth + 2:
            self._is_default = attributes.get(_LANGUAGE) == "x-default"
            self._listen()

    def _listen(self) -> None:
        self._text, self._length = [], 0

    def _characters(self, text: str) -> None:
        if self._text is not None and self._length < _MOST_CHARACTERS:
            self._text.append(text)
            self._length += len(text)

    def _end(self, name: str) -> None:
        depth = len(self._open)
        self._open.pop()
        if self._name is None:
            return
        if name == _RDF + "li" and depth == self._depth + 2:
            self._keep(self._name, "".join(self._text or ()), first=self._is_default)
            self._text, self._is_default = None, False
        elif depth == self._depth:
            if self._text is not None:
                self._keep(self._name, "".join(self._text))
            self._name, self._text = None, None

    def _keep(self, name: str, text: str, *, first: bool = False) -> None:
        values = self.found.setdefault(name, [])
        if text.strip() and len(values) < _MOST_VALUES:
            values.insert(0 if first else len(values), text[:_MOST_CHARACTERS])

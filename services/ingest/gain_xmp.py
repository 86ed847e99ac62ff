"""The one kind of XMP that has to do with how a picture looks: the numbers of a gain map (Adobe's hdrgm), without all
else that stands beside them."""

import re

_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
_NUMBER = rb"[-+0-9.eE]{1,24}"
_NAME = rb"(Version|GainMapMin|GainMapMax|Gamma|OffsetSDR|OffsetHDR|HDRCapacityMin|HDRCapacityMax|BaseRenditionIsHDR)"
_VALUE = rb"(" + _NUMBER + rb"|True|False)"
_ATTRIBUTE = re.compile(rb"\shdrgm:" + _NAME + rb"\s?=\s?[\"']" + _VALUE + rb"[\"']")
_ELEMENT = re.compile(rb"<hdrgm:" + _NAME + rb">\s{0,99}" + _VALUE + rb"\s{0,99}</hdrgm:")
_LIST = re.compile(
    rb"<hdrgm:"
    + _NAME
    + rb">\s{0,99}<rdf:Seq>((?:\s{0,99}<rdf:li>"
    + _NUMBER
    + rb"</rdf:li>){1,3})\s{0,99}</rdf:Seq>"
)
_IN_LIST = re.compile(rb"<rdf:li>(" + _NUMBER + rb")</rdf:li>")
_BEHIND = re.compile(rb"<Container:Item\s[^<>]{0,200}Semantic=\"GainMap\"[^<>]{0,200}>")
_LENGTH = re.compile(rb"Item:Length=\"([0-9]{1,10})\"")
_SPACE = b"http://ns.google.com/photos/1.0/container/"


def numbers_alone(block: bytes) -> bytes:
    """The content of an APP1 segment, as long as before; zeros where it is no XMP that tells of a gain map."""
    if not block.startswith(_HEAD) or b"hdrgm:" not in block:
        return bytes(len(block))
    told = dict(_ATTRIBUTE.findall(block)) | dict(_ELEMENT.findall(block))
    lists = {name: _IN_LIST.findall(items) for name, items in _LIST.findall(block) if name not in told}
    made = _HEAD + _packet(told, lists, _length(block)) if told or lists else b""
    return (
        made + (b" " if made else b"\0") * (len(block) - len(made))
        if len(made) <= len(block)
        else bytes(len(block))
    )


def _length(block: bytes) -> bytes:
    """Of the gain map behind this picture, where it says so."""
    item = _BEHIND.search(block)
    found = _LENGTH.search(item[0]) if item else None
    return found[1] if found else b""


def _packet(told: dict[bytes, bytes], lists: dict[bytes, list[bytes]], length: bytes) -> bytes:
    attributes = b"".join(b' hdrgm:%b="%b"' % one for one in told.items())
    within = b"".join(
        b"<hdrgm:%b><rdf:Seq>%b</rdf:Seq></hdrgm:%b>"
        % (name, b"".join(b"<rdf:li>%b</rdf:li>" % number for number in numbers), name)
        for name, numbers in lists.items()
    )
    if length:
        attributes += b' xmlns:Container="%b" xmlns:Item="%bitem/"' % (_SPACE, _SPACE)
        items = b"".join(
            b'<rdf:li rdf:parseType="Resource"><Container:Item Item:Mime="image/jpeg" Item:Semantic=%b/></rdf:li>'
            % item
            for item in (b'"Primary"', b'"GainMap" Item:Length="%b"' % length)
        )
        within += b"<Container:Directory><rdf:Seq>%b</rdf:Seq></Container:Directory>" % items
    return (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"%b>%b</rdf:Description></rdf:RDF></x:xmpmeta>'
    ) % (attributes, within)

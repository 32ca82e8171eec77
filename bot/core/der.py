"""Reads just enough DER to compare encodings byte for byte.

For questions that a parsed value cannot answer: two names may mean the same and differ in their
bytes, and Go and rustls compare bytes. Only for certificates and keys that a real parser took before:
lengths are trusted here. Source: X.690 8.1 (tags and lengths), RFC 5280 section 4.1 (TBSCertificate).
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

_VERSION = 0xA0
_EXTENSIONS = 0xA3
_SERIAL, _ISSUER, _SUBJECT = 0, 2, 4
"""Places in TBSCertificate when the version, which may be absent, is left out."""

_AUTHORITY_KEY_ID = bytes.fromhex("0603551d23")


def second_tag(der: bytes) -> int:
    """The tag of the second element in a sequence of at least two."""
    start, end = _content(der, 0)
    tag, _, _ = next(islice(_elements(der, start, end), 1, None))
    return tag


def serial_of(der: bytes) -> int:
    """The serial number, also a negative one or zero."""
    field = _field(der, _SERIAL)
    return int.from_bytes(field[_content(field, 0)[0] :], signed=True)


def issuer_of(der: bytes) -> bytes:
    """The issuer's name, tag and length included."""
    return _field(der, _ISSUER)


@lru_cache(maxsize=64)
def subject_of(der: bytes) -> bytes:
    """The subject's name, tag and length included; remembered, because each leaf's issuer is compared with it."""
    return _field(der, _SUBJECT)


def extensions_but_authority_key(der: bytes) -> tuple[bytes, ...]:
    """Every extension as encoded, in order; the authority key identifier is left out."""
    wrapped = next((field for field in _fields(der) if field[0] == _EXTENSIONS), None)
    if wrapped is None:
        return ()
    sequence, _ = _content(wrapped, 0)
    start, end = _content(wrapped, sequence)
    found = [wrapped[first:last] for _, first, last in _elements(wrapped, start, end)]
    return tuple(each for each in found if not _names(each, _AUTHORITY_KEY_ID))


def _names(extension: bytes, oid: bytes) -> bool:
    return extension.startswith(oid, _content(extension, 0)[0])


def _field(der: bytes, place: int) -> bytes:
    return next(islice(_fields(der), place, None))


def _fields(der: bytes) -> Iterator[bytes]:
    """The fields of the TBSCertificate, each whole, without the version; read as far as asked for."""
    certificate, _ = _content(der, 0)
    start, end = _content(der, certificate)
    return (der[first:last] for tag, first, last in _elements(der, start, end) if tag != _VERSION)


def _elements(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(tag, start, end) of each element in a row."""
    while start < end:
        _, after = _content(data, start)
        yield data[start], start, after
        start = after


def _content(data: bytes, at: int) -> tuple[int, int]:
    """Where the content of the element at `at` starts and ends."""
    length, start = data[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        start += size
        length = int.from_bytes(data[at + 2 : start])
    return start, start + length

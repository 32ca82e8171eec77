"""The core's values as JSON documents with a format number, and back, exactly.

Datetimes and timedeltas become ISO 8601, bytes base64, a serial number of 127 bits a plain number
(which is why the standard library writes the JSON: msgspec stops at 64 bits).
"""

import base64
import json
from dataclasses import dataclass
from typing import TypeVar, get_args

import msgspec

from bot.core.record import AuditEvent, CheckRecord, Content, Given
from bot.core.rotation import Rotation
from bot.edges.store.guard import refuse_secrets, withheld
from bot.errors import StoreError

T = TypeVar("T")

FORMAT = 1
"""Of every document written today. A change that an old document does not survive makes it 2, and
`decode` then lifts 1 to 2."""

CONTENTS: dict[str, type] = {content.__name__: content for content in get_args(Content)}
"""What a message can hold, by the name that is stored beside it."""

Storable = Rotation | AuditEvent | CheckRecord | Given | Content


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A value as it lies in the database."""

    kind: str
    format: int
    body: str
    """Canonical JSON: sorted keys, no spaces, ASCII."""


def encode(value: Storable) -> Stored:
    """A value as a document.

    Raises:
        StoreError: bytes in it hold a private key.
    """
    return Stored(kind=type(value).__name__, format=FORMAT, body=canonical(plain(value)))


def plain(value: object) -> object:
    """A value as dicts, lists, text, bytes and numbers, without keys and tokens that stood in a text.

    Raises:
        StoreError: bytes in it hold a private key.
    """
    document = withheld(msgspec.to_builtins(value, builtin_types=(bytes,)))
    refuse_secrets(document)
    return document


def canonical(document: object) -> str:
    """The one JSON text of a document. ASCII, so that lone surrogates and NUL survive any database."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), default=_base64)


def _base64(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    raise TypeError(f"a {type(value).__name__} has no place in a record")


def decode(kind: type[T], stored: Stored) -> T:
    """The value of that class.

    Raises:
        StoreError: written in a format that this version does not know, or damaged.
    """
    if stored.format != FORMAT:
        raise StoreError(
            f"a {stored.kind} in the record has format {stored.format}; this version reads {FORMAT}",
            hint="A newer Rootkeeper wrote it: run that version, or a newer one.",
        )
    try:
        return msgspec.convert(json.loads(stored.body), type=kind)
    except (ValueError, msgspec.ValidationError) as error:
        raise StoreError(
            f"a {stored.kind} in the record cannot be read: {error}",
            hint="Run `rootkeeper audit`; if the file was damaged, restore the latest backup.",
        ) from error


def decode_content(stored: Stored) -> Content:
    """A message's content, by the class name stored beside it; raises StoreError like `decode`."""
    kind = CONTENTS.get(stored.kind)
    if kind is None:
        raise StoreError(
            f"a message in the record is a {stored.kind}, which this version does not know",
            hint="A newer Rootkeeper wrote it: run that version, or a newer one.",
        )
    content: Content = decode(kind, stored)
    return content

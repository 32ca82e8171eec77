"""Splits PEM as Go's encoding/pem does, and nothing more kindly than that.

A block begins with a line and ends with a line; blanks may follow, nothing may precede. What breaks
a block breaks only that one. Source: Go's encoding/pem (Decode), which every Istio reads PEM with.
"""

import base64
import binascii
import re
from collections.abc import Iterator

_BEGIN = re.compile(rb"-----BEGIN ([^\r\n]*?)-----[ \t\r]*$")


def blocks(pem: bytes) -> Iterator[tuple[str, bytes | None]]:
    """Yield (label, DER or None when broken) for every block that starts a line."""
    label, end = None, b""
    body: list[bytes] = []  # joined at the end: adding to bytes would copy them all at every line
    for line in pem.split(b"\n"):
        begin = _BEGIN.match(line) if line.startswith(b"-----BEGIN ") else None
        if begin:
            if label is not None:
                yield label, None
            label, body = begin.group(1).decode("ascii", "replace"), []
            end = b"-----END " + label.encode() + b"-----"
        elif label is not None and line.startswith(end) and line.rstrip() == end:
            yield label, _base64(b"".join(body))
            label = None
        elif label is not None:
            body.append(line)
    if label is not None:
        yield label, None


def _base64(body: bytes) -> bytes | None:
    text = re.sub(rb"[ \t\r]", b"", body)
    if len(text) % 4:
        return None  # Python would take a padding that is too long
    try:
        return base64.b64decode(text, validate=True) or None
    except binascii.Error:
        return None

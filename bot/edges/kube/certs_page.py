"""Reads Envoy's `GET /certs` piece by piece: which certificates of the mesh a proxy has loaded.

A busy sidecar repeats the same two certificates for hundreds of TLS contexts, up to tens of
megabytes, so a page is parsed as it arrives and only what is new is kept. What cannot be understood
becomes a fault, never a certificate. Source: envoy/admin/v3/certs.proto and facts/istio.md, 4.1.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.core.mesh import NO_TLS_CONTEXT, LoadedCertificate
from bot.core.names import MESH_FILES

LONGEST_PAGE = 64 * 1024 * 1024
"""Bytes; the largest pages seen in the field have 50 MB."""

LONGEST_ENTRY = 1024 * 1024
"""Bytes of one TLS context; a usual one has one kilobyte."""

MESH_IDENTITY = "spiffe://"

NO_CONTEXT = f"{NO_TLS_CONTEXT}: mutual TLS is not in use there, or its certificates have not arrived"
NOT_A_PAGE = "answered something that is not Envoy's list of certificates"
CUT_OFF = "answered a list of certificates that breaks off"
TOO_LONG = f"answered more than {LONGEST_PAGE // 1024 // 1024} MiB"
OLD_FORMAT = (
    "lists certificates in the format of Envoy before 1.8, which does not tell when they begin; "
    "its certificate files must be compared by hand"
)

_HEAD = re.compile(r'\s*\{\s*"certificates"\s*:\s*\[')
_EMPTY = re.compile(r'\s*(\[\s*\]|\{\s*\}|\{\s*"certificates"\s*:\s*(null|\[\s*\])\s*\})\s*')
_GAP = re.compile(r"[\s,]*")
_LONGEST_HEAD = 4096

_REMEMBERED = 4
"""Contexts whose very text is recognised without parsing: a hundred times faster on a busy sidecar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a proxy says it has loaded, each certificate once; `fault` says what could not be told."""

    roots: tuple[LoadedCertificate, ...] = ()
    leaves: tuple[LoadedCertificate, ...] = ()
    fault: str = ""


class CertsPage:
    """Collects a page: `feed` it until it is `complete` or at its end, then take the `result`."""

    def __init__(self) -> None:
        self.complete = False
        """Nothing that follows can change the result."""
        self._text = ""
        self._length = 0
        self._inside = False
        self._decoder = json.JSONDecoder()
        self._recent: list[str] = []
        self._roots: dict[LoadedCertificate, None] = {}
        self._leaves: dict[LoadedCertificate, None] = {}
        self._faults: dict[str, None] = {}
        self._contexts = 0
        self._foreign = 0

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the answer's body."""
        self._length += len(piece)
        if self._length > LONGEST_PAGE:
            self._stop(TOO_LONG)
        if self.complete:
            return
        # Latin-1 maps every byte: a character cut in two by a piece's end does no harm, and what is
        # compared (paths, URIs, digits) is ASCII.
        self._text += piece.decode("latin-1")
        if self._inside or self._enter():
            self._take_entries()

    def _enter(self) -> bool:
        head = _HEAD.match(self._text)
        if head:
            self._inside, self._text = True, self._text[head.end() :]
        elif len(self._text) > _LONGEST_HEAD:
            self._stop(NOT_A_PAGE)
        return self._inside

    def _stop(self, fault: str) -> None:
        self._faults[fault] = None
        self.complete, self._text = True, ""

    def _take_entries(self) -> None:
        at = 0
        while not self.complete:
            at = _skip(self._text, at)
            if self._text.startswith("]", at):
                self.complete = True
                break
            repeated = next((text for text in self._recent if self._text.startswith(text, at)), "")
            if repeated:
                at += len(repeated)
                continue
            try:
                entry, end = self._decoder.raw_decode(self._text, at)
            except RecursionError:
                self._stop(NOT_A_PAGE)
                return
            except json.JSONDecodeError:
                break  # it ends in the next piece, or never
            self._take(entry)
            self._recent = [*self._recent[-_REMEMBERED + 1 :], self._text[at:end]]
            at = end
        self._text = self._text[at:]
        if len(self._text) > LONGEST_ENTRY:
            self._stop(NOT_A_PAGE)

    def _take(self, entry: object) -> None:
        """Look at one TLS context."""
        if not isinstance(entry, dict):
            self._faults["lists a TLS context that is no object"] = None
            return
        self._contexts += 1
        roots, chain = entry.get("ca_cert"), entry.get("cert_chain")
        if isinstance(roots, str) or isinstance(chain, str):
            self._faults[OLD_FORMAT] = None
            return
        if not _of_mesh(_details(roots), _details(chain)):
            self._foreign += 1
            return
        self._keep(_details(roots), self._roots)
        self._keep(_details(chain), self._leaves)

    def _keep(self, details: list[dict[str, object]], into: dict[LoadedCertificate, None]) -> None:
        for each in details:
            read = _certificate(each)
            if isinstance(read, str):
                self._faults[read] = None
            else:
                into[read] = None

    def result(self) -> Loaded:
        """What was told; call it when the answer is at its end."""
        return Loaded(roots=tuple(self._roots), leaves=tuple(self._leaves), fault=self._fault())

    def _fault(self) -> str:
        if self._faults:
            return "; ".join(self._faults)
        if not self._inside:
            return self._fault_of_short()
        if not self.complete:
            return CUT_OFF
        if not self._contexts:
            return NO_CONTEXT
        if not self._roots and not self._leaves:
            return f"{NO_TLS_CONTEXT} of the mesh ({self._foreign} with other certificates)"
        return "" if self._roots else "has a TLS context of the mesh without a root certificate"

    def _fault_of_short(self) -> str:
        if _EMPTY.fullmatch(self._text):
            return NO_CONTEXT
        return NOT_A_PAGE if self._text.strip() else "answered nothing"


def _skip(text: str, at: int) -> int:
    gap = _GAP.match(text, at)
    return gap.end() if gap else at


def _details(value: object) -> list[dict[str, object]]:
    """A list of certificates; Envoy leaves it out where there is none."""
    if isinstance(value, dict):
        return [value]
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _of_mesh(roots: list[dict[str, object]], chain: list[dict[str, object]]) -> bool:
    """Whether a context is the mesh's: by its files, or by a SPIFFE identity.

    Gateways have contexts with the user's own certificates, which no rotation touches.
    """
    by_file = any(str(each.get("path", "")).startswith(MESH_FILES) for each in (*roots, *chain))
    return by_file or any(name.startswith(MESH_IDENTITY) for each in chain for name in _names(each))


def _names(details: dict[str, object]) -> list[str]:
    names = details.get("subject_alt_names")
    found: list[str] = []
    for each in names if isinstance(names, list) else []:
        value = each.get("uri") if isinstance(each, dict) else each
        if isinstance(value, str):
            found.append(value)
    return found


def _certificate(details: dict[str, object]) -> LoadedCertificate | str:
    """One certificate; a sentence instead when its keys are missing or no use.

    `days_until_expiration` is not looked at: it is 0 for a day's rest and for years past alike.
    """
    serial = _serial(details.get("serial_number"))
    not_before, not_after = _time(details.get("valid_from")), _time(details.get("expiration_time"))
    if serial is None:
        return "lists a certificate without a readable serial number"
    if not_before is None or not_after is None:
        return "lists a certificate without readable dates"
    return LoadedCertificate(serial=serial, not_before=not_before, not_after=not_after)


def _serial(value: object) -> int | None:
    if not isinstance(value, str):
        return None
    try:
        return int(value.replace(":", ""), 16)
    except ValueError:
        return None


def _time(value: object) -> datetime | None:
    """To the second, which is what a certificate holds."""
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return parsed.astimezone(UTC).replace(microsecond=0) if parsed and parsed.tzinfo else None

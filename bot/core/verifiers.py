"""Whether the mesh's verifiers accept a certificate under a root: the strictest of them decides.

For one leaf and one root; a chain with intermediates is not this project's yet. Source: RFC 5280,
BoringSSL's x509_vfy.c (Envoy), Go's crypto/x509 (Pilot, Galley, the API server), rustls-webpki.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from bot.core.certificates import UNPARSABLE, Certificate, subject_key_id

K = TypeVar("K")
V = TypeVar("V")


UNDERSTOOD_CRITICAL = (
    x509.BasicConstraints.oid,
    x509.KeyUsage.oid,
    x509.NameConstraints.oid,
    x509.ExtendedKeyUsage.oid,
    x509.SubjectAlternativeName.oid,
)
"""Critical extensions that BoringSSL, OpenSSL and Go all process, in a root as in a leaf."""


def _not_understood(extensions: x509.Extensions) -> str | None:
    for each in extensions:
        if each.critical and each.oid not in UNDERSTOOD_CRITICAL:
            return f"has a critical extension that verifiers refuse: {each.oid.dotted_string}"
    return None


@lru_cache(maxsize=64)
def why_not_a_signer(certificate: Certificate) -> str | None:
    """Why no verifier would accept what this certificate's key signs; None when it is a CA.

    Remembered: one root is asked about for every leaf under it.
    """
    try:
        extensions = certificate.parsed.extensions
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return "has no basic constraints, so it is not a CA certificate"
    except UNPARSABLE:
        return "has extensions that cannot be read"
    if not constraints.ca:
        return "says CA:FALSE"
    if reason := _not_understood(extensions):
        return reason
    try:
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None
    return None if usage.key_cert_sign else "has a key usage without keyCertSign"


def why_not_issued_by(
    leaf: Certificate, root: Certificate, *, at: datetime, begun_by: datetime | None = None
) -> str | None:
    """Why one of the mesh's verifiers would refuse this leaf under this root; None when all accept.

    The answer goes on where a sentence about the leaf began: `its certificate …`.

    Both must have begun by `begun_by`; without it, at `at`.

    The strictest of Envoy (BoringSSL), Go and rustls decides on each point: names by DER bytes
    (Go, rustls), key ids when both are present (BoringSSL), issuer-and-serial ids only while the
    root is the very one they name (BoringSSL), the last second of a validity is over (BoringSSL),
    a leaf with its issuer's name is taken for self-signed (OpenSSL).
    """
    if leaf.issuer_der != root.subject_der:
        return f"names another issuer ({leaf.issuer or 'empty'})"
    if leaf.subject_der == root.subject_der and leaf != root:
        return f"has its issuer's own name ({leaf.subject or 'empty'}), so OpenSSL takes it for self-signed"
    return (
        _under_no_signer(root)
        or _key_id_mismatch(leaf, root)
        or _unsigned(leaf, root)
        or _out_of_time(leaf, root, at, begun_by or at)
    )


def _under_no_signer(root: Certificate) -> str | None:
    reason = why_not_a_signer(root)
    return f"has a root that {reason}" if reason else None


def _key_id_mismatch(leaf: Certificate, root: Certificate) -> str | None:
    named = _remembered(_named_issuers, _digest(leaf), lambda: _named_issuer(leaf))
    if named is None or isinstance(named, str):
        return named
    if named.serial not in (None, root.serial):
        return "names its issuer by serial number, which a re-issued root cannot keep"
    if named.issuer not in (None, root.issuer_der):
        return "names another certificate in its authority key id"
    own = subject_key_id(root)
    if named.key_id is not None and own is not None and named.key_id != own:
        return "names another authority key id than the root's subject key id"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _NamedIssuer:
    """What a certificate's AuthorityKeyIdentifier says."""

    key_id: bytes | None
    serial: int | None
    issuer: bytes | None
    """The DER of the name that the issuer's own certificate is signed by."""


def _named_issuer(leaf: Certificate) -> _NamedIssuer | str | None:
    """None when it has no AuthorityKeyIdentifier; a sentence when its extensions are refused."""
    try:
        # Parsed once more, for a certificate keeps the extensions it was asked for: 15 MiB in ten thousand.
        extensions = x509.load_der_x509_certificate(leaf.der).extensions
        if reason := _not_understood(extensions):
            return reason
        named = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        names = (n.value for n in named.authority_cert_issuer or () if isinstance(n, x509.DirectoryName))
        issuer = next((each.public_bytes() for each in names), None)
    except x509.ExtensionNotFound:
        return None
    except UNPARSABLE:
        # Such as an authority key id with a serial number and no issuer: BoringSSL would compare it.
        return "has extensions that cannot be read"
    return _NamedIssuer(key_id=named.key_identifier, serial=named.authority_cert_serial_number, issuer=issuer)


_MOST_REMEMBERED = 50_000
_named_issuers: dict[bytes, _NamedIssuer | str | None] = {}
"""Digest of a leaf → what it says of its issuer."""
_signatures: dict[tuple[bytes, str], str | None] = {}
"""(digest of a leaf, public key digest) → why the one was not signed with the other.

Checking a signature is nine tenths of a verification, its answer never changes, and a root that was
extended has the same key. 200 bytes each, whatever the leaf's size.
"""


def _remembered(memory: dict[K, V], key: K, find_out: Callable[[], V]) -> V:
    """What is known under this key; by digests, so that no certificate is kept for being remembered."""
    try:
        return memory[key]
    except KeyError:
        value = find_out()
    if len(memory) >= _MOST_REMEMBERED:
        memory.clear()
    memory[key] = value
    return value


def _digest(certificate: Certificate) -> bytes:
    return hashlib.sha256(certificate.der).digest()


def _unsigned(leaf: Certificate, root: Certificate) -> str | None:
    """Asked last but for the time, and only when the names are the same bytes."""
    question = (_digest(leaf), root.public_key_digest)
    return _remembered(_signatures, question, lambda: _check_signature(leaf, root))


def _check_signature(leaf: Certificate, root: Certificate) -> str | None:
    try:
        leaf.parsed.verify_directly_issued_by(root.parsed)
    except InvalidSignature:
        return "was signed with another key"
    except (TypeError, *UNPARSABLE):
        return "has a signature that cannot be checked with the root's key"
    return None


def _out_of_time(leaf: Certificate, root: Certificate, at: datetime, begun_by: datetime) -> str | None:
    for lead, certificate in (("", leaf), ("has a root that ", root)):
        if at >= certificate.not_after:
            return f"{lead}expired at {certificate.not_after:%Y-%m-%d %H:%M:%S} UTC"
        if begun_by < certificate.not_before:
            return f"{lead}is not valid before {certificate.not_before:%Y-%m-%d %H:%M:%S} UTC"
    return None

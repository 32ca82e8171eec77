"""Reads certificates and keys the way the mesh's own verifiers do.

For questions about one certificate, one bundle or one key. Whether one vouches for another is
`verifiers`, making certificates is `issuing`, what a certificate means for the mesh is `checks`.
Source: RFC 5280, Go's encoding/pem and crypto/x509, because Citadel and Pilot are built on those.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from bot.core.der import issuer_of, second_tag, serial_of, subject_of
from bot.core.ids import Fingerprint
from bot.core.pem import blocks
from bot.core.wording import count
from bot.errors import KeyUnusable

SigningKeyType = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
SigningPublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
ThrowAwayKey = ec.EllipticCurvePublicKey
"""The public half of a key that nobody holds: for the leaf that tries a root."""

MIN_RSA_BITS = 2048
"""Istio refuses to generate less, and Go 1.24 refuses to use less than 1024."""

SIGNING_CURVES = ("secp256r1", "secp384r1")
"""What Envoy's default signature algorithms accept."""

UNPARSABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for a certificate that is not as it should be; it reads parts when asked for."""

MOST_READ = 64 * 1024
"""Bytes of one PEM text: forty roots. Whoever may make a secret can fill it with a megabyte, and a look
reads all of them."""

_KEY_FORMS = {
    "RSA PRIVATE KEY": (0x02, "PKCS#1"),
    "EC PRIVATE KEY": (0x04, "SEC1"),
    "PRIVATE KEY": (0x30, "PKCS#8"),
}
"""Label → (tag of the form's second element, its name): the labels that Istio's ParsePemEncodedKey knows,
each with the one form that it tries. The three forms differ in what follows the version."""

_REWRITE_KEY = (
    "The key itself may be fine: save the whole secret first, then write ca-key.pem anew with openssl "
    "(runbook: ca.key_matches) before anything restarts Citadel."
)

_HEADING = b"-----BEGIN CERTIFICATE-----"
_LABEL = re.compile(r"[A-Z0-9][A-Z0-9 ]{0,39}")


@dataclass(frozen=True, slots=True)
class Certificate:
    """One X.509 certificate; equal when the DER is equal."""

    der: bytes = field(repr=False)
    parsed: x509.Certificate = field(compare=False, repr=False)

    @property
    def fingerprint(self) -> Fingerprint:
        """SHA-256 over the DER."""
        return Fingerprint(hashlib.sha256(self.der).hexdigest())

    @property
    def public_key_digest(self) -> str:
        """SHA-256 over the SubjectPublicKeyInfo DER, hex: the same for every certificate of one key."""
        return _digest_of_public_key(self.parsed)

    @property
    def subject_der(self) -> bytes:
        """The subject exactly as encoded; Go and rustls compare these bytes."""
        return subject_of(self.der)

    @property
    def issuer_der(self) -> bytes:
        """The issuer exactly as encoded."""
        return issuer_of(self.der)

    @property
    def subject(self) -> str:
        """The subject for people (RFC 4514); never parse or compare this."""
        return _in_words(lambda: self.parsed.subject)

    @property
    def issuer(self) -> str:
        """The issuer for people, likewise."""
        return _in_words(lambda: self.parsed.issuer)

    @property
    def serial(self) -> int:
        """The serial number as a number; old tools made negative ones and zero."""
        return serial_of(self.der)

    @property
    def not_before(self) -> datetime:
        """Aware UTC, to the second."""
        return self.parsed.not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        """Aware UTC, to the second."""
        return self.parsed.not_valid_after_utc

    @property
    def pem(self) -> bytes:
        """One PEM block, ending in a newline."""
        return self.parsed.public_bytes(Encoding.PEM)

    def is_twin_of(self, other: "Certificate") -> bool:
        """Whether both have one key and subject, so that a verifier may take either for the issuer."""
        return self.subject_der == other.subject_der and self.public_key_digest == other.public_key_digest


def _in_words(read: Callable[[], x509.Name]) -> str:
    try:
        return read().rfc4514_string()
    except ValueError:
        return "a name in an encoding that cannot be read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The certificates of one PEM text, in order, as Go would read them; `faults` in words."""

    certificates: tuple[Certificate, ...]
    faults: tuple[str, ...]
    digest: str
    """SHA-256 over the bytes as they were, hex."""
    read: bool = True
    """False when it was too long to be read: what it holds is not known."""

    @property
    def first(self) -> Certificate | None:
        """The first certificate: in `ca-cert.pem` the signer, in `/certs` the only one shown."""
        return self.certificates[0] if self.certificates else None

    @property
    def ends(self) -> datetime | None:
        """When the first ends, or the first of its twins: Envoy may pick any of them."""
        if self.first is None:
            return None
        return min(c.not_after for c in self.certificates if c.is_twin_of(self.first))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """What may be known about a private key without holding it."""

    public_key_digest: str
    """As `Certificate.public_key_digest`; empty when the key cannot be read."""
    kind: str
    """`RSA 2048`, `EC secp256r1`; empty when the key cannot be read."""
    fault: str
    """Why the key cannot be used to sign; empty when it can."""
    cure: str = ""
    """What to do about the fault, where that is something else than for other keys."""


class SigningKey:
    """A CA's private key, masked: it signs and says which public key it belongs to, nothing else."""

    __slots__ = ("_private",)

    def __init__(self, private: SigningKeyType) -> None:
        self._private = private

    def __repr__(self) -> str:
        return "SigningKey(masked)"

    def __reduce__(self) -> str:
        raise TypeError("a signing key is never serialised")

    @property
    def public_key_digest(self) -> str:
        """SHA-256 over the SubjectPublicKeyInfo DER, hex."""
        spki = self._private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(spki).hexdigest()

    def public_key(self) -> SigningPublicKey:
        """The public half."""
        return self._private.public_key()

    def sign(self, builder: x509.CertificateBuilder) -> Certificate:
        """Sign with SHA-256, or SHA-384 for a P-384 key."""
        wide = isinstance(self._private, ec.EllipticCurvePrivateKey) and self._private.key_size > 256
        parsed = builder.sign(self._private, hashes.SHA384() if wide else hashes.SHA256())
        return _wrap(parsed)


def read_bundle(pem: bytes) -> Bundle:
    """Read PEM as Go's `pem.Decode` does, and say where a more lenient reader would see something else.

    Remembered by content: a mesh has ten thousand copies of one root.
    """
    if len(pem) <= MOST_READ:
        return _read_bundle(pem)
    fault = f"is {len(pem):,} bytes long, and more than {MOST_READ:,} are not read"
    return Bundle(certificates=(), faults=(fault,), digest=hashlib.sha256(pem).hexdigest(), read=False)


@lru_cache(maxsize=256)
def _read_bundle(pem: bytes) -> Bundle:
    certificates: list[Certificate] = []
    faults: list[str] = []
    headings = 0
    for label, der in blocks(pem):
        headings += label == "CERTIFICATE"
        parsed = _certificate_in(label, der)
        certificates.append(parsed) if isinstance(parsed, Certificate) else faults.append(parsed)
    if not certificates:
        faults.append("holds no certificate that Istio can read" if pem.strip() else "is empty")
    unseen = pem.count(_HEADING) - headings
    if unseen > 0:
        faults.append(f"has {count(unseen, 'certificate heading')} inside a line, where Istio sees none")
    return Bundle(
        certificates=tuple(certificates), faults=tuple(faults), digest=hashlib.sha256(pem).hexdigest()
    )


def _certificate_in(label: str, der: bytes | None) -> Certificate | str:
    """The certificate of one block; a sentence instead when Istio would not take it for one."""
    if label != "CERTIFICATE":
        return f"holds a block of another kind ({_kind_of(label)}), which Istio ignores"
    if der is None:
        return "holds a CERTIFICATE block whose base64 or END line is broken"
    return read_der(der)


def _kind_of(label: str) -> str:
    """A label comes from the file: one that is no label could be anything, so it is not repeated."""
    return label.lower() if _LABEL.fullmatch(label) else "unnamed"


def read_der(der: bytes) -> Certificate | str:
    """Parse one certificate; a sentence instead when it is none."""
    try:
        # the very bytes, which the parsed one keeps too: ten thousand copies would be 8 MiB
        return Certificate(der, x509.load_der_x509_certificate(der))
    except UNPARSABLE:
        return "holds a CERTIFICATE block that is not an X.509 certificate"


def _wrap(parsed: x509.Certificate) -> Certificate:
    return Certificate(parsed.public_bytes(Encoding.DER), parsed)


@lru_cache(maxsize=4096)
def _digest_of_public_key(parsed: x509.Certificate) -> str:
    try:
        spki = parsed.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except UNPARSABLE:
        return ""
    return hashlib.sha256(spki).hexdigest()


def subject_key_id(certificate: Certificate) -> bytes | None:
    """The SubjectKeyIdentifier's bytes; None when the extension is absent."""
    try:
        return certificate.parsed.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (x509.ExtensionNotFound, *UNPARSABLE):
        return None


def describe_key(pem: bytes) -> KeyFacts:
    """Say which public key a PEM private key belongs to and whether it may sign; keeps nothing of it."""
    try:
        key = read_signing_key(pem)
    except KeyUnusable as fault:
        return KeyFacts(public_key_digest="", kind="", fault=fault.message, cure=fault.hint)
    return KeyFacts(public_key_digest=key.public_key_digest, kind=kind_of_key(key.public_key()), fault="")


def kind_of_key(key: SigningPublicKey) -> str:
    """`RSA 2048`, `EC secp256r1`."""
    return f"RSA {key.key_size}" if isinstance(key, rsa.RSAPublicKey) else f"EC {key.curve.name}"


def read_signing_key(pem: bytes) -> SigningKey:
    """Load a PEM private key (PKCS#1, PKCS#8 or SEC1) where Citadel would load it, too.

    Raises:
        KeyUnusable: encrypted, unreadable, not as Citadel reads it, or of a kind that the mesh's
            verifiers refuse.
    """
    if not pem.strip():
        raise KeyUnusable("the CA's private key is empty")
    if b"ENCRYPTED" in pem:
        raise KeyUnusable("the CA's private key is encrypted")
    private = _key_in(pem)
    public = private.public_key()
    if isinstance(private, SigningKeyType) and not why_key_refused(public):
        return SigningKey(private)
    raise KeyUnusable(f"the CA's key is {why_key_refused(public)}")


def why_key_refused(key: PublicKeyTypes | None) -> str:
    """Why no CA may sign with such a key, as the end of a sentence `the key is …`; empty when it may.

    None stands for a key that the library cannot read.
    """
    match key:
        case rsa.RSAPublicKey():
            small = key.key_size < MIN_RSA_BITS
            return f"{kind_of_key(key)}; at least {MIN_RSA_BITS} bits are needed" if small else ""
        case ec.EllipticCurvePublicKey() if key.curve.name in SIGNING_CURVES:
            return ""
        case _:
            return "of a kind that Envoy does not accept (RSA and P-256/P-384 are)"


def _key_in(pem: bytes) -> PrivateKeyTypes:
    """The key as Istio's ParsePemEncodedKey takes it: the first whole block, in the form of its label."""
    label, der = next(((label, der) for label, der in blocks(pem) if der is not None), ("", b""))
    if not der:
        raise KeyUnusable(
            "the CA's private key is not in a form that Istio reads (indented, glued or cut off)"
        )
    if label not in _KEY_FORMS:
        raise KeyUnusable(
            f"ca-key.pem begins with a block of another kind ({_kind_of(label)}), and Citadel reads the first "
            "block only: it would not start with it",
            hint=_REWRITE_KEY,
        )
    private = _loaded(der)
    if private is None:
        raise KeyUnusable("the CA's private key cannot be read")
    tag, form = _KEY_FORMS[label]
    if second_tag(der) != tag:
        raise KeyUnusable(
            f"ca-key.pem has the heading of a key in {form} ({_kind_of(label)}) over a key in another form: "
            "Citadel would not start with it",
            hint=_REWRITE_KEY,
        )
    return private


def _loaded(der: bytes) -> PrivateKeyTypes | None:
    """None instead of the library's error: its text could quote its input, and errors travel."""
    try:
        return load_der_private_key(der, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None

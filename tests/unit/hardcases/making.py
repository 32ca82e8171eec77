r"""Certificates and keys of every odd shape, made at run time; each key once in a run.

key("p256"), key("rsa2048")                a private key, the same one whenever it is asked for
root(key(), ski=b"…", ca=False)            a self-signed certificate of any shape
leaf(key(), under, names="key id")         what a CA of that key would issue under that root
with_serial(certificate, b"\xff")          the same certificate with any serial number, even a forbidden one
"""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from bot.core.certificates import Certificate, SigningKey, read_bundle

NOW = datetime(2026, 11, 23, 18, 41, tzinfo=UTC)
DAY = timedelta(days=1)
YEAR = timedelta(days=365)
PRINTABLE = _ASN1Type.PrintableString
ASN1Type = _ASN1Type

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | dsa.DSAPrivateKey
CURVES: dict[str, ec.EllipticCurve] = {
    "p256": ec.SECP256R1(),
    "p384": ec.SECP384R1(),
    "p521": ec.SECP521R1(),
    "k256": ec.SECP256K1(),
}


@cache
def any_key(kind: str = "p256", number: int = 0) -> Key:
    """A key of a kind; another one for another number."""
    if kind in CURVES:
        return ec.generate_private_key(CURVES[kind])
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "dsa":
        return dsa.generate_private_key(1024)
    return rsa.generate_private_key(65537, int(kind.removeprefix("rsa")))


def key(kind: str = "p256", number: int = 0) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    """A key that a CA may have."""
    made = any_key(kind, number)
    assert isinstance(made, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    return made


def signer(kind: str = "p256", number: int = 0) -> SigningKey:
    """The same, as the core holds it."""
    return SigningKey(key(kind, number))


PKCS8, TRADITIONAL = PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL


def pem_of(private: Key, form: PrivateFormat = PKCS8, *, password: bytes = b"") -> bytes:
    """A key as a secret would hold it."""
    lock: KeySerializationEncryption = BestAvailableEncryption(password) if password else NoEncryption()
    return private.private_bytes(Encoding.PEM, form, lock)


def name(*values: str, kind: _ASN1Type = PRINTABLE) -> x509.Name:
    """A subject of organisations, as Citadel writes it."""
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, value, kind) for value in values])


CITADEL_NAME = name("cluster.local")
LONG_AGO, LATER = NOW - 350 * DAY, NOW + 15 * DAY
SIGNS = frozenset({"key_cert_sign"})
HANDSHAKES = frozenset({"digital_signature", "key_encipherment"})


def usage(which: frozenset[str]) -> x509.KeyUsage:
    """A key usage with these bits and no other."""
    bits = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{bit: bit in which for bit in bits})


Extensions = tuple[tuple[x509.ExtensionType, bool], ...]


def root(
    private: Key | None = None,
    *,
    subject: x509.Name = CITADEL_NAME,
    issuer: x509.Name | None = None,
    start: datetime = LONG_AGO,
    end: datetime = LATER,
    serial: int = 0x7A11,
    ca: bool | None = True,
    path_length: int | None = None,
    key_usage: frozenset[str] = SIGNS,
    ski: bytes | None = None,
    more: Extensions = (),
    algorithm: hashes.HashAlgorithm | None = None,
) -> Certificate:
    """A self-signed certificate; without further words as Citadel makes its root."""
    private = private or key()
    builder = _builder(subject, issuer or subject, private, start, end, serial)
    extensions: list[tuple[x509.ExtensionType, bool]] = []
    if key_usage:
        extensions.append((usage(key_usage), True))
    if ca is not None:
        extensions.append((x509.BasicConstraints(ca=ca, path_length=path_length), True))
    if ski is not None:
        extensions.append((x509.SubjectKeyIdentifier(ski), False))
    return _signed(builder, (*extensions, *more), private, algorithm)


def leaf(
    private: Key,
    under: Certificate,
    *,
    names: str = "",
    issuer: x509.Name | None = None,
    start: datetime = NOW - DAY,
    end: datetime = NOW + 89 * DAY,
    serial: int = 0x1EAF,
    more: Extensions = (),
) -> Certificate:
    """A workload certificate that names its issuer by nothing more, `key id` or `serial`."""
    signed_by = under.parsed.subject if issuer is None else issuer
    builder = _builder(x509.Name([]), signed_by, key("p256", 99), start, end, serial)
    uri = x509.UniformResourceIdentifier("spiffe://cluster.local/ns/shop/sa/cart")
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (usage(HANDSHAKES), True),
        (x509.SubjectAlternativeName([uri]), True),
    ]
    if names == "key id":
        extensions.append((_key_id_of(under, private), False))
    if names == "serial":
        directory = [x509.DirectoryName(under.parsed.issuer)]
        extensions.append((x509.AuthorityKeyIdentifier(None, directory, under.serial), False))
    return _signed(builder, (*extensions, *more), private, None)


def _key_id_of(under: Certificate, private: Key) -> x509.AuthorityKeyIdentifier:
    try:
        own = under.parsed.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(private.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _builder(
    subject: x509.Name, issuer: x509.Name, private: Key, start: datetime, end: datetime, serial: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(private.public_key())
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _signed(
    builder: x509.CertificateBuilder,
    extensions: Extensions,
    private: Key,
    algorithm: hashes.HashAlgorithm | None,
) -> Certificate:
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    if isinstance(private, ed25519.Ed25519PrivateKey):
        made = builder.sign(private, None)
    else:
        made = builder.sign(private, algorithm or hashes.SHA256())  # type: ignore[arg-type]
    return wrap(made.public_bytes(Encoding.PEM))


def wrap(pem: bytes) -> Certificate:
    """The one certificate of a PEM text."""
    (certificate,) = read_bundle(pem).certificates
    return certificate


# --- what no library writes -------------------------------------------------------------------

ECDSA_WITH_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
ECDSA_WITH_SHA1 = bytes.fromhex("300906072a8648ce3d0401")


def with_serial(certificate: Certificate, content: bytes, private: Key | None = None) -> bytes:
    """The PEM of a certificate with these bytes as its serial number, signed anew with a P-256 key."""
    version, _, *rest = _items(_tbs(certificate))
    return _rebuilt((version, _item(0x02, content), *rest), private)


def as_version_1(certificate: Certificate, private: Key | None = None) -> bytes:
    """The PEM of a certificate without version and extensions, as a LibreSSL without settings makes it."""
    _, *rest = _items(_tbs(certificate))
    return _rebuilt(tuple(item for item in rest if item[0] != 0xA3), private)


def as_sha1(certificate: Certificate) -> bytes:
    """The PEM of a certificate that claims a SHA-1 signature, which the library no longer makes."""
    version, serial, _, *rest = _items(_tbs(certificate))
    tbs = _item(0x30, b"".join((version, serial, ECDSA_WITH_SHA1, *rest)))
    *_, signature = _items(certificate.der)
    return pem_block(_item(0x30, tbs + ECDSA_WITH_SHA1 + signature))


def _tbs(certificate: Certificate) -> bytes:
    return next(_items(certificate.der))


def _rebuilt(items: tuple[bytes, ...], private: Key | None) -> bytes:
    private = private or key()
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    tbs = _item(0x30, b"".join(items))
    signature = private.sign(tbs, ec.ECDSA(hashes.SHA256()))
    return pem_block(_item(0x30, tbs + ECDSA_WITH_SHA256 + _item(0x03, b"\x00" + signature)))


def pem_block(der: bytes, label: str = "CERTIFICATE") -> bytes:
    """DER as one PEM block."""
    body = base64.encodebytes(der)
    return b"-----BEGIN " + label.encode() + b"-----\n" + body + b"-----END " + label.encode() + b"-----\n"


def _items(sequence: bytes) -> Iterator[bytes]:
    rest = _content(sequence)
    while rest:
        size, _ = _length(rest)
        yield rest[:size]
        rest = rest[size:]


def _length(item: bytes) -> tuple[int, int]:
    """(size of the whole item, size of its header)."""
    first = item[1]
    if first < 0x80:
        return 2 + first, 2
    count = first & 0x7F
    return 2 + count + int.from_bytes(item[2 : 2 + count], "big"), 2 + count


def _content(item: bytes) -> bytes:
    return item[_length(item)[1] :]


def _item(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content

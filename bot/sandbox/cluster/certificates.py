"""Certificates as Citadel makes and loads them: same encodings, extensions and refusals.

Source: ``security/pkg/pki/util/generate_cert.go`` and ``security/pkg/pki/ca/ca.go`` at Istio 1.4.10. Keys are
made when first needed and shared by leaves of one process, for making them is slow; they are all real pairs.
"""

import base64
import functools
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LEAF_LIFETIME = timedelta(days=90)
_KEY_BITS = 2048
_LEAF_KEYS = 4

# As Go's pem.Decode: BEGIN and END stand at the start of a line, END also ends it.
_BLOCK = re.compile(
    rb"(?:^|(?<=\n))-----BEGIN CERTIFICATE-----[ \t]*\r?\n"
    rb"([A-Za-z0-9+/=\s]*?)\n-----END CERTIFICATE-----[ \t]*\r?(?:\n|$)"
)

SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class InvalidAuthorityError(Exception):
    """The content of the CA secret with which Citadel cannot start, in the words of its log."""


@dataclass(frozen=True, kw_only=True)
class Authority:
    """A CA as a Citadel holds it in memory; ``bundle`` is all of ``ca-cert.pem`` and what workloads trust."""

    bundle: bytes
    certificate: x509.Certificate
    key: SigningKey

    @functools.cached_property
    def root64(self) -> str:
        """The bundle as it stands in a workload's secret."""
        return base64.b64encode(self.bundle).decode()


def new_key() -> rsa.RSAPrivateKey:
    """A fresh RSA key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)


@functools.cache
def leaf_key(number: int) -> rsa.RSAPrivateKey:
    """One of a few keys that leaves share."""
    return new_key() if number < _LEAF_KEYS else leaf_key(number % _LEAF_KEYS)


@functools.cache
def leaf_key_pem(number: int) -> bytes:
    """The same key as a secret holds it."""
    return key_pem(leaf_key(number)) if number < _LEAF_KEYS else leaf_key_pem(number % _LEAF_KEYS)


def key_pem(key: SigningKey) -> bytes:
    """PKCS#1 (or SEC1) PEM, Citadel's form."""
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def organization(name: str) -> x509.Name:
    """The subject of a root: one O, a PrintableString as Go writes it."""
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name, _ASN1Type.PrintableString)])


def root_certificate(
    key: SigningKey, subject: x509.Name, *, not_before: datetime, not_after: datetime
) -> x509.Certificate:
    """A self-signed root as Go before 1.15 made it: no subject key id, both extensions critical."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=not signs_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def leaf_certificate(
    authority: Authority,
    *,
    spiffe: str,
    names: tuple[str, ...],
    key_number: int,
    not_before: datetime,
    lifetime: timedelta = LEAF_LIFETIME,
) -> bytes:
    """A workload's certificate in PEM: empty subject, critical SAN, no key ids, not clamped to its root."""
    alternatives: list[x509.GeneralName] = [x509.UniformResourceIdentifier(spiffe)]
    alternatives += [x509.DNSName(name) for name in names]
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(authority.certificate.subject)
        .public_key(leaf_key(key_number).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_before + lifetime)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=True)
        .sign(authority.key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def pem_of(certificate: x509.Certificate) -> bytes:
    """The certificate's PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def read_chain(pem: bytes) -> list[x509.Certificate]:
    """The certificates that Go would find; none for what it cannot read."""
    try:
        return [x509.load_der_x509_certificate(base64.b64decode(body)) for body in _BLOCK.findall(pem)]
    except ValueError:
        return []


@functools.lru_cache(maxsize=65536)
def first_of(text: str) -> x509.Certificate | None:
    """The first certificate in a secret's base64 value, None if there is none.

    Remembered by text: every resync asks again for every secret.
    """
    try:
        chain = read_chain(base64.b64decode(text))
    except ValueError:
        return None
    return chain[0] if chain else None


def load_authority(certificates: bytes, key: bytes, *, now: datetime | None, chain: bytes = b"") -> Authority:
    """The CA from its PEM files, as ``NewVerifiedKeyCertBundleFromPem`` accepts it; no ``now``, no expiry.

    Raises:
        InvalidAuthorityError: Nothing to read, expired, or the key is of another certificate.
    """
    found = read_chain(certificates)
    if not found:
        raise InvalidAuthorityError("failed to parse cert PEM: invalid PEM encoded certificate")
    signing = _signing_key(key)
    if now is not None and not found[0].not_valid_before_utc <= now <= found[0].not_valid_after_utc:
        text = "cannot verify the cert with the provided root chain and cert pool"
        raise InvalidAuthorityError(f"{text}: x509: certificate has expired or is not yet valid")
    if signing.public_key() != found[0].public_key():
        raise InvalidAuthorityError("the cert does not match the key")
    return Authority(bundle=chain or certificates, certificate=found[0], key=signing)


def _signing_key(pem: bytes) -> SigningKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise InvalidAuthorityError("invalid PEM-encoded key") from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise InvalidAuthorityError("unsupported key type")
    return key

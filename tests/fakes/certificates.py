"""Certificates for fakes: the same bytes in every run, from keys that are numbers."""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

PRINTABLE = _ASN1Type.PrintableString
"""How Go encodes a name that may be; the library would take UTF-8."""

KEY_NUMBER = 0x0C17ADE1
"""Makes the CA's key; a number is no secret, and no key material stands in a file."""


def a_key(number: int = KEY_NUMBER) -> ec.EllipticCurvePrivateKey:
    """The P-256 key of a number."""
    return ec.derive_private_key(number, ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """As Citadel keeps it in `ca-key.pem`."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def root_pem(
    key: ec.EllipticCurvePrivateKey,
    *,
    not_before: datetime,
    not_after: datetime,
    serial: int = 1,
    organization: str = "cluster.local",
) -> bytes:
    """A root as Citadel makes them: one O, CA:TRUE, keyCertSign, no key ids."""
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization, PRINTABLE)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(_usage(sign=True), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    return builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.PEM)


def leaf_pem(
    root: bytes,
    key: ec.EllipticCurvePrivateKey,
    *,
    identity: str,
    not_before: datetime,
    serial: int,
    lifetime: timedelta = timedelta(days=90),
) -> bytes:
    """A workload certificate as Citadel issues them: empty subject, SPIFFE URI, no authority key id."""
    issuer = x509.load_pem_x509_certificate(root).subject
    uri = x509.UniformResourceIdentifier(f"spiffe://cluster.local/{identity}")
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer)
        .public_key(a_key(serial + 2).public_key())
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(not_before + lifetime)
        .add_extension(_usage(sign=False), critical=True)
        .add_extension(x509.SubjectAlternativeName([uri]), critical=True)
    )
    return builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.PEM)


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign,
        key_encipherment=not sign,
        key_cert_sign=sign,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )

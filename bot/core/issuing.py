"""Makes certificates: the candidate root of an extension, and the throw-away leaf that tries it.

The key, the serial numbers and the time come from the caller. Source: facts of Istio's own roots
(security/pkg/pki/util/generate_cert.go) and RFC 5280 sections 4.1.2 and 4.2.1.
"""

from datetime import datetime, timedelta

from cryptography import x509

from bot.core.certificates import Certificate, SigningKey, ThrowAwayKey, subject_key_id
from bot.core.der import extensions_but_authority_key
from bot.core.verifiers import why_not_a_signer
from bot.errors import CertificateUnusable

CLOCK_SKEW = timedelta(minutes=10)
"""How far back a new root's not_before lies: a node whose clock is behind must not refuse it."""

THROW_AWAY_LIFETIME = timedelta(minutes=5)


def extend_root(
    old: Certificate, key: SigningKey, *, serial: int, now: datetime, lifetime: timedelta
) -> Certificate:
    """Re-issue a self-signed root: same key, same subject DER, same extensions, new validity and serial.

    An AuthorityKeyIdentifier is left out: it may name the old root's serial, and a root needs none.

    Raises:
        CertificateUnusable: the old root is not self-signed by this key, is no CA, holds a critical
            extension that verifiers do not process, or could not be reproduced byte for byte.
    """
    _refuse_unfit(old, key)
    name = _name_of(old)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + lifetime)
    )
    for extension in _kept_extensions(old):
        builder = builder.add_extension(extension.value, critical=extension.critical)
    new = key.sign(builder)
    _assert_interchangeable(old, new)
    return new


def _refuse_unfit(old: Certificate, key: SigningKey) -> None:
    if key.public_key_digest != old.public_key_digest:
        raise CertificateUnusable("the private key does not belong to the root certificate")
    if old.issuer_der != old.subject_der:
        raise CertificateUnusable("the certificate is not self-signed: its issuer is another name")
    if reason := why_not_a_signer(old):
        raise CertificateUnusable(f"the root certificate {reason}")


def _name_of(old: Certificate) -> x509.Name:
    try:
        return old.parsed.subject
    except ValueError:
        raise CertificateUnusable(f"the subject is {old.subject}, so it cannot be reproduced") from None


def _kept_extensions(old: Certificate) -> list[x509.Extension[x509.ExtensionType]]:
    return [e for e in old.parsed.extensions if e.oid != x509.AuthorityKeyIdentifier.oid]


def _assert_interchangeable(old: Certificate, new: Certificate) -> None:
    """Compare encodings as they stand in the DER, not meanings: Go compares subjects byte for byte."""
    if new.subject_der != old.subject_der or new.issuer_der != old.subject_der:
        raise CertificateUnusable("the subject could not be reproduced byte for byte")
    if new.public_key_digest != old.public_key_digest:
        raise CertificateUnusable("the public key could not be reproduced")
    if extensions_but_authority_key(new.der) != extensions_but_authority_key(old.der):
        raise CertificateUnusable("the extensions could not be reproduced byte for byte")


def throw_away_leaf(
    root: Certificate,
    key: SigningKey,
    *,
    public_key: ThrowAwayKey,
    serial: int,
    now: datetime,
) -> Certificate:
    """A leaf as Citadel makes them (empty subject, SPIFFE URI), to try a root before it is used.

    It names the subject key id of its root, as a CA built with Go 1.15 or later does.
    """
    identity = x509.UniformResourceIdentifier("spiffe://rootkeeper.invalid/throw-away")
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(root.parsed.subject)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(now - timedelta(seconds=1))
        .not_valid_after(now + THROW_AWAY_LIFETIME)
        .add_extension(x509.SubjectAlternativeName([identity]), critical=True)
    )
    own = subject_key_id(root)
    if own is not None:
        named = x509.AuthorityKeyIdentifier(own, None, None)
        builder = builder.add_extension(named, critical=False)
    return key.sign(builder)

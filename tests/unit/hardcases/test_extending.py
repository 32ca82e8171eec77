"""Extending a root: same key, same name, same extensions; and who accepts what under which root."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID, ObjectIdentifier
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.certificates import Certificate, subject_key_id
from bot.core.issuing import extend_root, throw_away_leaf
from bot.core.verifiers import why_not_a_signer, why_not_issued_by
from bot.errors import CertificateUnusable
from tests.unit.hardcases.making import (
    CITADEL_NAME,
    DAY,
    NOW,
    PRINTABLE,
    YEAR,
    ASN1Type,
    Extensions,
    as_version_1,
    key,
    leaf,
    name,
    root,
    signer,
    with_serial,
    wrap,
)

OPENSSL = shutil.which("openssl")
SKI_SHA1 = x509.SubjectKeyIdentifier.from_public_key(key().public_key()).digest
SKI_OTHER = bytes(range(20))
"""As Go 1.25 makes them: another hash of the same key."""


def extended(old: Certificate, kind: str = "p256", *, lifetime: timedelta = 10 * YEAR) -> Certificate:
    return extend_root(old, signer(kind), serial=0xCAFE, now=NOW, lifetime=lifetime)


def attempt(new: Certificate, kind: str = "p256") -> Certificate:
    public = key("p256", 99).public_key()
    return throw_away_leaf(new, signer(kind), public_key=public, serial=3, now=NOW)  # type: ignore[arg-type]


def kept(certificate: Certificate) -> list[tuple[str, bool, bytes]]:
    """Every extension but the authority key id, as encoded, in order."""
    return [
        (e.oid.dotted_string, e.critical, e.value.public_bytes())
        for e in certificate.parsed.extensions
        if e.oid != x509.AuthorityKeyIdentifier.oid
    ]


def assert_interchangeable(old: Certificate, new: Certificate) -> None:
    assert new.subject_der == old.subject_der == new.parsed.issuer.public_bytes()
    assert new.public_key_digest == old.public_key_digest
    assert subject_key_id(new) == subject_key_id(old)
    assert kept(new) == kept(old)
    assert new.serial != old.serial
    assert new.not_after > old.not_after
    assert why_not_issued_by(new, new, at=NOW) is None


# --- what can be extended -----------------------------------------------------------------------


def attribute(oid: ObjectIdentifier, value: str, kind: ASN1Type = PRINTABLE) -> x509.NameAttribute[str]:
    return x509.NameAttribute(oid, value, kind)


O, CN, OU, C = (  # noqa: E741 - as subjects are written
    NameOID.ORGANIZATION_NAME,
    NameOID.COMMON_NAME,
    NameOID.ORGANIZATIONAL_UNIT_NAME,
    NameOID.COUNTRY_NAME,
)

SUBJECTS: list[tuple[str, x509.Name]] = [
    ("an O, as Citadel writes it", CITADEL_NAME),
    ("an O of UTF8, as OpenSSL writes it", name("cluster.local", kind=ASN1Type.UTF8String)),
    ("an O of IA5", name("cluster.local", kind=ASN1Type.IA5String)),
    ("an O of T61", name("cluster.local", kind=ASN1Type.T61String)),
    ("an O of BMP", name("cluster.local", kind=ASN1Type.BMPString)),
    ("an O of Universal", name("cluster.local", kind=ASN1Type.UniversalString)),
    ("CN, OU and C", x509.Name([attribute(C, "DE"), attribute(O, "Bank"), attribute(OU, "IT"), attribute(CN, "R")])),
    ("several O", name("one", "two", "three")),
    ("a multi-valued RDN", x509.Name([x509.RelativeDistinguishedName([attribute(O, "Bank"), attribute(CN, "Root")])])),
    ("signs that separate names in text", name("a=b/c,d+e", kind=ASN1Type.UTF8String)),
    ("letters beyond ASCII", name("Größe 根 \U0001f511", kind=ASN1Type.UTF8String)),
    ("quotes, hashes and spaces", name(' #"x"\\ ', kind=ASN1Type.UTF8String)),
    ("no attribute at all", x509.Name([])),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "subject"), SUBJECTS, ids=[row[0] for row in SUBJECTS])
def test_row_22_a_subject_is_kept_byte_for_byte(sentence: str, subject: x509.Name) -> None:  # row 22
    old = root(subject=subject)

    new = extended(old)

    assert_interchangeable(old, new)
    assert attempt(new).parsed.issuer.public_bytes() == old.subject_der, sentence


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa2048"])
def test_row_18_every_kind_of_key_is_extended_and_stays(kind: str) -> None:  # row 18
    old = root(key(kind))

    new = extended(old, kind)

    assert_interchangeable(old, new)
    wanted = "sha384" if kind == "p384" else "sha256"
    assert new.parsed.signature_hash_algorithm is not None
    assert new.parsed.signature_hash_algorithm.name == wanted


CONSTRAINTS = x509.NameConstraints(
    permitted_subtrees=[x509.DNSName("cluster.local"), x509.UniformResourceIdentifier(".example.org")],
    excluded_subtrees=None,
)
ODD = ObjectIdentifier("1.3.6.1.4.1.99999.7")

EXTENSIONS: list[tuple[str, int | None, Extensions]] = [
    ("nothing more", None, ()),
    ("a path length of 0", 0, ()),
    ("a path length of 3", 3, ()),
    ("critical name constraints", None, ((CONSTRAINTS, True),)),
    ("name constraints that are not critical", None, ((CONSTRAINTS, False),)),
    ("an unknown extension that is not critical", None, ((x509.UnrecognizedExtension(ODD, b"\x04\x01\x07"), False),)),
    ("an extended key usage", None, ((x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), False),)),
    ("a subject alternative name", None, ((x509.SubjectAlternativeName([x509.DNSName("ca")]), False),)),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "path_length", "more"), EXTENSIONS, ids=[row[0] for row in EXTENSIONS])
def test_row_25_extensions_are_kept_word_for_word(
    sentence: str, path_length: int | None, more: Extensions
) -> None:  # row 25
    old = root(path_length=path_length, more=more)

    assert_interchangeable(old, extended(old))
    assert kept(extended(old)) == kept(old), sentence


KEY_IDS = [("none", None), ("SHA-1 of the key", SKI_SHA1), ("another hash", SKI_OTHER), ("one byte", b"\x01")]


@pytest.mark.parametrize(("sentence", "ski"), KEY_IDS, ids=[row[0] for row in KEY_IDS])
def test_row_23_a_subject_key_id_is_copied_and_leaves_that_name_it_go_on(
    sentence: str, ski: bytes | None
) -> None:  # row 23
    old = root(ski=ski)
    new = extended(old)

    assert subject_key_id(new) == ski, sentence
    assert why_not_issued_by(leaf(key(), old, names="key id"), new, at=NOW) is None
    assert why_not_issued_by(leaf(key(), new, names="key id"), old, at=NOW) is None
    assert why_not_issued_by(attempt(new), old, at=NOW) is None


def test_an_authority_key_id_of_the_root_itself_is_left_out() -> None:  # row 24
    own = x509.AuthorityKeyIdentifier(SKI_SHA1, [x509.DirectoryName(CITADEL_NAME)], 0x7A11)
    old = root(ski=SKI_SHA1, more=((own, False),))

    new = extended(old)

    assert x509.AuthorityKeyIdentifier.oid not in [e.oid for e in new.parsed.extensions]
    assert_interchangeable(old, new)


def test_row_24_a_certificate_that_names_its_issuer_by_serial_is_lost_under_the_extended_root() -> None:
    old = root()  # row 24
    child = leaf(key(), old, names="serial")

    assert why_not_issued_by(child, old, at=NOW) is None
    assert why_not_issued_by(child, extended(old), at=NOW) is not None


@pytest.mark.parametrize("years", [1, 10, 20, 24, 40, 100])
def test_row_26_a_new_end_does_not_overflow(years: int) -> None:  # row 26
    new = extended(root(), lifetime=years * YEAR)

    assert new.not_after == NOW + years * YEAR


def test_an_expired_root_can_still_be_extended_from_its_key() -> None:  # row 11
    old = root(end=NOW - DAY)

    assert_interchangeable(old, extended(old))


def test_the_new_root_is_valid_already_for_a_clock_that_is_a_little_behind() -> None:
    assert extended(root()).not_before < NOW - 5 * timedelta(minutes=1)


@pytest.mark.parametrize("content", [b"\x00\x80" + b"\x01" * 18, b"\x00" + b"\xff" * 20])
def test_row_27_a_root_with_a_large_serial_is_extended(content: bytes) -> None:  # row 27
    old = wrap(with_serial(root(), content))

    assert_interchangeable(old, extended(old))


# --- what cannot be extended ----------------------------------------------------------------------

UNKNOWN_CRITICAL: Extensions = ((x509.UnrecognizedExtension(ODD, b"\x05\x00"), True),)

UNFIT: list[tuple[str, Callable[[], Certificate]]] = [
    ("a root that says CA:FALSE", lambda: root(ca=False)),  # row 21
    ("a root without basic constraints", lambda: root(ca=None)),  # row 21
    ("a root without any extension", lambda: root(ca=None, key_usage=frozenset())),  # row 21
    ("a version 1 root", lambda: wrap(as_version_1(root()))),  # row 21
    ("a key usage that does not allow to sign", lambda: root(key_usage=frozenset({"digital_signature"}))),
    ("an unknown critical extension", lambda: root(more=UNKNOWN_CRITICAL)),  # row 25
    ("a certificate of another issuer", lambda: root(issuer=name("somebody"))),
    ("an issuer that is encoded in another way", lambda: root(issuer=name("cluster.local", kind=ASN1Type.UTF8String))),
    ("a root of another key", lambda: root(key("p256", 1))),  # row 10
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "make"), UNFIT, ids=[row[0] for row in UNFIT])
def test_rows_10_21_25_is_refused(sentence: str, make: Callable[[], Certificate]) -> None:
    with pytest.raises(CertificateUnusable):
        extended(make())


@pytest.mark.parametrize("kind", ["p384", "rsa2048"])
def test_a_key_of_another_kind_is_refused(kind: str) -> None:
    with pytest.raises(CertificateUnusable):
        extended(root(), kind)


SIGNERS: list[tuple[str, Callable[[], Certificate], bool]] = [
    ("a root as Citadel makes it", root, True),
    ("a root without key usage, as OpenSSL makes it", lambda: root(key_usage=frozenset()), True),
    ("CA:FALSE", lambda: root(ca=False), False),  # row 21
    ("no basic constraints", lambda: root(ca=None), False),  # row 21
    ("a version 1 certificate", lambda: wrap(as_version_1(root())), False),  # row 21
    ("no keyCertSign", lambda: root(key_usage=frozenset({"crl_sign"})), False),
]


@pytest.mark.parametrize(("sentence", "make", "fit"), SIGNERS, ids=[row[0] for row in SIGNERS])
def test_row_21_may_sign(sentence: str, make: Callable[[], Certificate], fit: bool) -> None:  # noqa: FBT001
    assert (why_not_a_signer(make()) is None) is fit, sentence


# --- the matrix of 3.6 ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Pitfall:
    """One row of 3.6: a leaf under a root, whether the mesh takes it, and whether OpenSSL does."""

    sentence: str
    make: Callable[[], tuple[Certificate, Certificate]]
    taken: bool
    openssl: bool | None
    """None where OpenSSL is not asked."""


def old_leaf(*, names: str = "", old_ski: bytes | None = None) -> Certificate:
    return leaf(key(), root(ski=old_ski), names=names)


def renewed(**shape: object) -> Certificate:
    """A root that somebody made anew with the same key."""
    return root(start=NOW - DAY, end=NOW + YEAR, serial=0xBEEF, **shape)  # type: ignore[arg-type]


UTF8 = name("cluster.local", kind=ASN1Type.UTF8String)

PITFALLS = [
    Pitfall(sentence="same key and name, no key ids",
            make=lambda: (old_leaf(), renewed()), taken=True, openssl=True),
    Pitfall(sentence="a name of the same letters in another encoding, which Go and rustls refuse",
            make=lambda: (old_leaf(), renewed(subject=UTF8)), taken=False, openssl=True),
    Pitfall(sentence="a leaf with a key id under a root with another",
            make=lambda: (old_leaf(names="key id", old_ski=SKI_SHA1), renewed(ski=SKI_OTHER)),
            taken=False, openssl=False),
    Pitfall(sentence="a leaf with a key id under a root with the same",
            make=lambda: (old_leaf(names="key id", old_ski=SKI_SHA1), renewed(ski=SKI_SHA1)),
            taken=True, openssl=True),
    Pitfall(sentence="a leaf with a key id under a root without one",
            make=lambda: (old_leaf(names="key id", old_ski=SKI_SHA1), renewed()), taken=True, openssl=True),
    Pitfall(sentence="a leaf without a key id under a root that has one now",
            make=lambda: (old_leaf(), renewed(ski=SKI_OTHER)), taken=True, openssl=True),
    Pitfall(sentence="a leaf that names its issuer by serial, under a re-issued root",
            make=lambda: (old_leaf(names="serial"), renewed()), taken=False, openssl=False),
    Pitfall(sentence="a leaf that names its issuer by serial, under that very root",
            make=lambda: (old_leaf(names="serial"), root()), taken=True, openssl=True),
    Pitfall(sentence="a root that says CA:FALSE",
            make=lambda: (old_leaf(), renewed(ca=False)), taken=False, openssl=False),
    Pitfall(sentence="a root without keyCertSign",
            make=lambda: (old_leaf(), renewed(key_usage=frozenset({"crl_sign"}))), taken=False, openssl=False),
    Pitfall(sentence="a root without key usage",
            make=lambda: (old_leaf(), renewed(key_usage=frozenset())), taken=True, openssl=True),
    Pitfall(sentence="a version 1 root",
            make=lambda: (old_leaf(), wrap(as_version_1(root()))), taken=False, openssl=None),
    Pitfall(sentence="another key under the same name",
            make=lambda: (old_leaf(), root(key("p256", 1))), taken=False, openssl=False),
    Pitfall(sentence="a root that has expired",
            make=lambda: (old_leaf(), root(end=NOW - DAY)), taken=False, openssl=False),
    Pitfall(sentence="a root that is not valid yet",
            make=lambda: (old_leaf(), root(start=NOW + DAY)), taken=False, openssl=False),
    Pitfall(sentence="a leaf that has expired",
            make=lambda: (leaf(key(), root(), start=NOW - 9 * DAY, end=NOW - DAY), root()),
            taken=False, openssl=False),
    Pitfall(sentence="a leaf that is not valid yet",
            make=lambda: (leaf(key(), root(), start=NOW + DAY), root()), taken=False, openssl=False),
    Pitfall(sentence="a leaf that outlives its root, today",
            make=lambda: (leaf(key(), root(), end=NOW + YEAR), root()), taken=True, openssl=True),
    Pitfall(sentence="an EC leaf under an RSA root",
            make=lambda: (leaf(key("rsa2048"), root()), root(key("rsa2048"))), taken=True, openssl=True),
    Pitfall(sentence="a root with a critical extension that nobody knows",
            make=lambda: (old_leaf(), renewed(more=UNKNOWN_CRITICAL)), taken=False, openssl=False),
    Pitfall(sentence="a leaf with a critical extension that nobody knows",
            make=lambda: (leaf(key(), root(), more=UNKNOWN_CRITICAL), root()), taken=False, openssl=False),
    Pitfall(sentence="a leaf and a root that both have no name",
            make=lambda: (leaf(key(), root(subject=x509.Name([]))), root(subject=x509.Name([]))),
            taken=False, openssl=False),
    Pitfall(sentence="a root with a path length of 0",
            make=lambda: (old_leaf(), renewed(path_length=0)), taken=True, openssl=True),
]  # fmt: skip


@cache
def pitfall(sentence: str) -> tuple[Certificate, Certificate]:
    return next(p.make() for p in PITFALLS if p.sentence == sentence)


@pytest.mark.parametrize("case", PITFALLS, ids=[p.sentence for p in PITFALLS])
def test_the_matrix_says(case: Pitfall) -> None:
    child, above = pitfall(case.sentence)

    assert (why_not_issued_by(child, above, at=NOW) is None) is case.taken


@pytest.mark.skipif(OPENSSL is None, reason="there is no openssl command")
@pytest.mark.parametrize(
    "case", [p for p in PITFALLS if p.openssl is not None], ids=lambda p: p.sentence if p else ""
)
def test_openssl_says_the_same_or_is_more_lenient(case: Pitfall, tmp_path: Path) -> None:
    child, above = pitfall(case.sentence)

    accepted = openssl_accepts(child, above, tmp_path)

    assert accepted is case.openssl
    assert accepted or not case.taken, "what OpenSSL refuses, BoringSSL refuses too"


def openssl_accepts(child: Certificate, above: Certificate, folder: Path) -> bool:
    root_file, leaf_file = folder / "root.pem", folder / "leaf.pem"
    root_file.write_bytes(above.pem)
    leaf_file.write_bytes(child.pem)
    at = str(int(NOW.timestamp()))
    command = [str(OPENSSL), "verify", "-attime", at, "-no-CApath", "-CAfile", str(root_file), str(leaf_file)]
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0


def test_the_first_second_of_a_validity_belongs_to_it_and_the_last_one_does_not() -> None:
    child, above = old_leaf(), root()
    second = timedelta(seconds=1)

    assert why_not_issued_by(child, above, at=child.not_before) is None
    assert why_not_issued_by(child, above, at=child.not_before - second) is not None
    assert why_not_issued_by(child, above, at=above.not_after - second) is None
    assert why_not_issued_by(child, above, at=above.not_after) is not None


# --- for every root that Citadel could have made --------------------------------------------------


@settings(max_examples=20, deadline=None, database=None)
@given(
    kind=st.sampled_from(["p256", "p384", "rsa2048"]),
    encoding=st.sampled_from([ASN1Type.PrintableString, ASN1Type.UTF8String]),
    organization=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 .:/-]{0,30}", fullmatch=True),
    ski=st.one_of(st.none(), st.binary(min_size=20, max_size=20)),
    names=st.sampled_from(["", "key id"]),
    days_left=st.integers(min_value=1, max_value=3650),
    path_length=st.sampled_from([None, 0]),
    years=st.integers(min_value=11, max_value=20),
)
def test_old_leaves_go_on_under_the_new_root_and_new_ones_under_the_old(
    kind: str,
    encoding: ASN1Type,
    organization: str,
    ski: bytes | None,
    names: str,
    days_left: int,
    path_length: int | None,
    years: int,
) -> None:
    subject = name(organization, kind=encoding)
    old = root(key(kind), subject=subject, ski=ski, path_length=path_length, end=NOW + days_left * DAY)
    new = extended(old, kind, lifetime=years * YEAR)

    assert new.subject_der == old.subject_der
    assert subject_key_id(new) == subject_key_id(old)
    assert why_not_issued_by(leaf(key(kind), old, names=names), new, at=NOW) is None
    assert why_not_issued_by(leaf(key(kind), new, names=names), old, at=NOW) is None
    assert why_not_issued_by(attempt(new, kind), old, at=NOW) is None
    assert why_not_issued_by(attempt(new, kind), new, at=NOW) is None


def test_a_throw_away_leaf_lives_for_minutes_only_and_is_no_ca() -> None:
    made = attempt(extended(root()))

    assert made.not_after - NOW <= timedelta(minutes=10)
    assert why_not_a_signer(made) is not None
    assert made.parsed.signature_hash_algorithm is not None
    assert made.parsed.signature_hash_algorithm.name == hashes.SHA256.name

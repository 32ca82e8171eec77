"""Reading certificates and keys as Istio does, whatever stands in the secret."""

import base64
import copy
import pickle
import traceback
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption
from cryptography.utils import CryptographyDeprecationWarning

from bot.core.certificates import Certificate, SigningKey, describe_key, read_bundle, read_signing_key
from bot.core.issuing import throw_away_leaf
from bot.core.planning import replace_first
from bot.errors import KeyUnusable
from tests.unit.hardcases.making import (
    DAY,
    NOW,
    PKCS8,
    TRADITIONAL,
    YEAR,
    any_key,
    key,
    pem_block,
    pem_of,
    root,
    with_serial,
)

A = root()
B = root(key("p256", 1), serial=2)


def secret_lines(pem: bytes) -> list[str]:
    """Every line of a private key's body that could give it away."""
    return [
        line for line in pem.decode("ascii", "replace").splitlines() if len(line) > 20 and "-----" not in line
    ]


# --- texts that Istio reads -------------------------------------------------------------------

READS: list[tuple[str, bytes, list[Certificate]]] = [
    ("one certificate", A.pem, [A]),
    ("several, the first being the signer", A.pem + B.pem, [A, B]),  # row 7
    ("duplicates, which are legal and are not cleaned", A.pem + B.pem + B.pem, [A, B, B]),  # row 8
    ("CRLF line ends", A.pem.replace(b"\n", b"\r\n"), [A]),  # row 14
    ("spaces at the ends of lines", A.pem.replace(b"\n", b"  \t\n"), [A]),  # row 14
    ("no newline at the end", A.pem.rstrip(b"\n"), [A]),  # row 14
    ("blank lines between blocks", A.pem + b"\n\n\n" + B.pem, [A, B]),  # row 14
    ("words before and between blocks, as `openssl x509 -text` writes", b"C:\n" + A.pem + b"x\n" + B.pem, [A, B]),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "pem", "expected"), READS, ids=[row[0] for row in READS])
def test_rows_7_8_14_istio_reads(sentence: str, pem: bytes, expected: list[Certificate]) -> None:
    bundle = read_bundle(pem)

    assert list(bundle.certificates) == expected, sentence
    assert bundle.first == expected[0]
    assert bundle.faults == ()


def test_several_certificates_keep_every_byte_and_only_the_first_is_replaced() -> None:  # row 7
    bundle = read_bundle(A.pem + B.pem + B.pem)

    new = root(serial=3, end=NOW + YEAR)
    written = replace_first(new, bundle.certificates)

    assert [c.der for c in read_bundle(written).certificates] == [new.der, B.der, B.der]
    assert written == new.pem + B.pem + B.pem


@pytest.mark.parametrize("old_ends", [NOW - DAY, NOW + 12 * DAY])
def test_rows_8_12_the_root_is_replaced_wherever_it_stands_and_strangers_are_kept(old_ends: datetime) -> None:
    private = key("p256")
    new, old = root(private, end=NOW + YEAR), root(private, end=old_ends)
    bundle = read_bundle(old.pem + B.pem + old.pem + B.pem)

    assert replace_first(new, bundle.certificates) == new.pem + B.pem + B.pem


def test_a_text_without_a_final_newline_is_never_glued_to_what_follows() -> None:  # row 14
    bundle = read_bundle((A.pem + B.pem).rstrip(b"\n"))

    written = replace_first(A, bundle.certificates)

    assert read_bundle(written).certificates == (A, B)
    assert read_bundle(written).faults == ()


# --- texts that Istio does not read -------------------------------------------------------------

INDENTED = b"".join(b"  " + line + b"\n" for line in A.pem.splitlines())
GLUED = A.pem.rstrip(b"\n") + B.pem
BROKEN = A.pem.replace(b"-----END CERTIFICATE-----\n", b"")

REFUSED: list[tuple[str, bytes]] = [
    ("nothing at all, as with `data: null`", b""),  # row 3
    ("an empty ca-cert.pem", b"\n"),  # row 4
    ("PEM that was base64-encoded twice", base64.b64encode(A.pem)),  # row 6
    ("what is no base64", b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"),  # row 6
    ("glued blocks, which Go does not find", GLUED),  # row 14
    ("an indented block, as a YAML paste makes it", INDENTED),  # row 15
    ("a TRUSTED CERTIFICATE", pem_block(A.der, "TRUSTED CERTIFICATE")),  # row 16
    ("an X509 CERTIFICATE", pem_block(A.der, "X509 CERTIFICATE")),  # row 16
    ("DER instead of PEM", A.der),  # row 17
    ("UTF-16", A.pem.decode().encode("utf-16")),  # row 17
    ("a block that is cut off", BROKEN),
    ("a block that holds no certificate", pem_block(b"\x30\x03\x02\x01\x01")),
    ("a private key instead", pem_of(key())),
]


@pytest.mark.parametrize(("sentence", "pem"), REFUSED, ids=[row[0] for row in REFUSED])
def test_rows_3_4_6_14_15_16_17_istio_does_not_read(sentence: str, pem: bytes) -> None:
    bundle = read_bundle(pem)

    assert bundle.certificates == (), sentence
    assert bundle.first is None
    assert bundle.faults != ()


SUSPECT: list[tuple[str, bytes]] = [
    ("an indented block behind a good one", A.pem + INDENTED),  # row 15
    ("glued blocks behind a good one", A.pem + GLUED),  # row 14
    ("a TRUSTED CERTIFICATE behind a good one", A.pem + pem_block(B.der, "TRUSTED CERTIFICATE")),  # row 16
    ("a private key behind a good one", A.pem + pem_of(key())),
    ("a broken block behind a good one", A.pem + BROKEN),
]


@pytest.mark.parametrize(("sentence", "pem"), SUSPECT, ids=[row[0] for row in SUSPECT])
def test_rows_14_15_16_a_good_certificate_does_not_hide(sentence: str, pem: bytes) -> None:
    bundle = read_bundle(pem)

    assert bundle.first == A, sentence
    assert bundle.faults != ()


def test_a_private_key_in_a_bundle_never_shows_in_its_faults_or_repr() -> None:
    pem = pem_of(key())

    shown = repr(read_bundle(A.pem + pem)) + repr(read_bundle(pem))

    assert not [line for line in secret_lines(pem) if line in shown]


# --- dates and serial numbers -------------------------------------------------------------------

ENDS = [
    ("just before 2038", datetime(2038, 1, 19, 3, 14, 7, tzinfo=UTC)),
    ("just after 2038", datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC)),
    ("the last UTCTime", datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ("the first GeneralizedTime", datetime(2050, 1, 1, tzinfo=UTC)),
    ("after 2106, when unsigned 32 bits end", datetime(2106, 2, 7, 6, 28, 16, tzinfo=UTC)),
    ("the end of time", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
]


@pytest.mark.parametrize(("sentence", "end"), ENDS, ids=[row[0] for row in ENDS])
def test_row_26_an_end_does_not_overflow(sentence: str, end: datetime) -> None:  # row 26
    read = read_bundle(root(end=end).pem).first

    assert read is not None, sentence
    assert read.not_after == end
    assert read.not_after.tzinfo is not None


SERIALS: list[tuple[str, bytes, int]] = [
    ("twenty bytes", b"\x7f" * 20, int.from_bytes(b"\x7f" * 20, "big")),
    ("twenty-one bytes", b"\x00" + b"\xff" * 20, int.from_bytes(b"\xff" * 20, "big")),
    ("zero", b"\x00", 0),
    ("negative", b"\xff", -1),
]


@pytest.mark.parametrize(("sentence", "content", "number"), SERIALS, ids=[row[0] for row in SERIALS])
def test_row_27_a_serial_number_is_read_whatever_it_is(sentence: str, content: bytes, number: int) -> None:
    pem = with_serial(A, content)  # row 27

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        bundle = read_bundle(pem)

        assert bundle.first is not None, sentence
        assert bundle.first.serial == number


# --- keys ----------------------------------------------------------------------------------------

EC_PARAMETERS = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"

KEYS: list[tuple[str, bytes, str]] = [
    ("RSA in PKCS#8", pem_of(key("rsa2048")), "RSA 2048"),  # row 20
    ("RSA in PKCS#1, as Citadel writes it", pem_of(key("rsa2048"), TRADITIONAL), "RSA 2048"),  # row 20
    ("P-256 in PKCS#8", pem_of(key()), "EC secp256r1"),  # rows 18, 20
    ("P-256 as EC PRIVATE KEY", pem_of(key(), TRADITIONAL), "EC secp256r1"),  # rows 18, 20
    ("P-384", pem_of(key("p384")), "EC secp384r1"),  # row 18
    ("CRLF line ends", pem_of(key()).replace(b"\n", b"\r\n"), "EC secp256r1"),
    ("words before it", b"Bag Attributes\n    friendlyName: ca\n" + pem_of(key()), "EC secp256r1"),
    ("a certificate behind it", pem_of(key()) + A.pem, "EC secp256r1"),
]


@pytest.mark.parametrize(("sentence", "pem", "kind"), KEYS, ids=[row[0] for row in KEYS])
def test_rows_18_20_a_key_is_read(sentence: str, pem: bytes, kind: str) -> None:
    facts = describe_key(pem)

    assert (facts.fault, facts.kind) == ("", kind), sentence
    assert facts.public_key_digest == read_signing_key(pem).public_key_digest


BAD_KEYS: list[tuple[str, bytes]] = [
    ("nothing", b""),  # rows 3, 4
    ("an empty key", b"  \n"),  # row 4
    ("encrypted PKCS#8", pem_of(key(), PKCS8, password=b"secret")),  # row 20
    ("encrypted in the old way", pem_of(key("rsa2048"), TRADITIONAL, password=b"secret")),  # row 20
    ("Ed25519", pem_of(any_key("ed25519"))),  # row 19
    ("RSA of 1024 bits", pem_of(any_key("rsa1024"))),  # row 19
    ("DSA", pem_of(any_key("dsa"))),  # row 19
    ("P-521, which Envoy does not accept", pem_of(any_key("p521"))),
    ("secp256k1", pem_of(any_key("k256"))),
    ("base64-encoded twice", base64.b64encode(pem_of(key()))),  # row 6
    ("cut off", pem_of(key())[:-60]),
    ("with a broken body", pem_of(key()).replace(b"M", b"N", 1)),
    ("a certificate instead", A.pem),
    ("UTF-16", pem_of(key()).decode().encode("utf-16")),  # row 17
]


@pytest.mark.parametrize(("sentence", "pem"), BAD_KEYS, ids=[row[0] for row in BAD_KEYS])
def test_rows_3_4_6_17_19_20_a_key_is_refused(sentence: str, pem: bytes) -> None:
    facts = describe_key(pem)

    assert facts.fault, sentence
    assert (facts.public_key_digest, facts.kind) == ("", "")
    with pytest.raises(KeyUnusable):
        read_signing_key(pem)


@pytest.mark.parametrize(
    ("sentence", "pem"),
    [
        ("indented, as a YAML paste makes it", b"  " + pem_of(key()).replace(b"\n", b"\n  ")),
        ("glued to its parameters", EC_PARAMETERS.rstrip(b"\n") + pem_of(key(), TRADITIONAL)),
        ("behind spaces", b" " + pem_of(key())),
    ],
)
def test_row_15_a_key_that_go_does_not_find_is_refused(sentence: str, pem: bytes) -> None:  # row 15
    assert describe_key(pem).fault, sentence


@pytest.mark.parametrize(("sentence", "pem"), BAD_KEYS, ids=[row[0] for row in BAD_KEYS])
def test_nothing_of_a_key_is_in_the_error_about(sentence: str, pem: bytes) -> None:
    with pytest.raises(KeyUnusable) as caught:
        read_signing_key(pem)

    error = caught.value
    shown = "".join((str(error), repr(error), error.message, error.hint, repr(describe_key(pem))))
    shown += "".join(traceback.format_exception(error))
    assert not [line for line in secret_lines(pem) if line in shown], sentence


def labelled(label: str, private: Any, form: Any) -> bytes:
    """A good key under a heading of somebody's choice."""
    return pem_block(private.private_bytes(Encoding.DER, form, NoEncryption()), label)


RSA, EC = key("rsa2048"), key()
NOT_AS_CITADEL_READS: list[tuple[str, bytes, str]] = [
    # row 20, otherwise than in the facts: `openssl ecparam -genkey` writes this
    ("EC PARAMETERS first", EC_PARAMETERS + pem_of(EC, TRADITIONAL), "another kind (ec parameters)"),
    ("a certificate first", A.pem + pem_of(EC), "another kind (certificate)"),
    ("a heading that is none", labelled("FOO PRIVATE KEY", RSA, TRADITIONAL), "another kind (foo private key)"),
    ("OpenSSH's heading", labelled("OPENSSH PRIVATE KEY", RSA, PKCS8), "another kind (openssh private key)"),
    ("RSA in PKCS#8, headed PKCS#1", labelled("RSA PRIVATE KEY", RSA, PKCS8), "a key in PKCS#1"),
    ("RSA in PKCS#1, headed PKCS#8", labelled("PRIVATE KEY", RSA, TRADITIONAL), "a key in PKCS#8"),
    ("RSA in PKCS#1, headed SEC1", labelled("EC PRIVATE KEY", RSA, TRADITIONAL), "a key in SEC1"),
    ("EC in PKCS#8, headed SEC1", labelled("EC PRIVATE KEY", EC, PKCS8), "a key in SEC1"),
    ("EC in SEC1, headed PKCS#8", labelled("PRIVATE KEY", EC, TRADITIONAL), "a key in PKCS#8"),
    ("EC in SEC1, headed PKCS#1", labelled("RSA PRIVATE KEY", EC, TRADITIONAL), "a key in PKCS#1"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sentence", "pem", "words"), NOT_AS_CITADEL_READS, ids=[row[0] for row in NOT_AS_CITADEL_READS]
)
def test_row_20_a_key_that_citadel_would_not_start_with_is_refused(
    sentence: str, pem: bytes, words: str
) -> None:
    with pytest.raises(KeyUnusable) as caught:
        read_signing_key(pem)

    assert words in caught.value.message, sentence
    assert "would not start with it" in caught.value.message
    assert "with openssl" in caught.value.hint
    facts = describe_key(pem)
    assert (facts.fault, facts.cure, facts.kind) == (caught.value.message, caught.value.hint, "")
    shown = caught.value.message + caught.value.hint + repr(facts)
    assert not [line for line in secret_lines(pem) if line in shown]


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa2048"])
def test_a_signing_key_shows_nothing_and_cannot_be_carried_away(kind: str) -> None:
    pem = pem_of(key(kind))
    held = read_signing_key(pem)

    assert "masked" in repr(held)
    assert not [line for line in secret_lines(pem) if line in f"{held!r} {held} {describe_key(pem)!r}"]
    carriers: list[Callable[[SigningKey], Any]] = [pickle.dumps, copy.copy, copy.deepcopy]
    for carry in carriers:
        with pytest.raises(TypeError):
            carry(held)


def test_the_key_belongs_to_the_second_certificate_and_not_to_the_first() -> None:  # row 9
    bundle = read_bundle(B.pem + A.pem)

    owner = describe_key(pem_of(key())).public_key_digest

    assert owner == bundle.certificates[1].public_key_digest
    assert owner != bundle.certificates[0].public_key_digest


def test_the_key_belongs_to_no_certificate() -> None:  # row 10
    owner = describe_key(pem_of(key("p256", 7))).public_key_digest

    assert owner not in {c.public_key_digest for c in read_bundle(A.pem + B.pem).certificates}


@pytest.mark.parametrize("form", [PKCS8, TRADITIONAL])
@pytest.mark.parametrize("kind", ["p256", "rsa2048"])
def test_a_key_is_the_same_key_in_every_form(kind: str, form: Any) -> None:  # row 20
    certificate = root(key(kind))

    assert describe_key(pem_of(key(kind), form)).public_key_digest == certificate.public_key_digest


@pytest.mark.parametrize(
    ("kind", "expected"), [("p256", "sha256"), ("p384", "sha384"), ("rsa2048", "sha256")]
)
def test_row_18_a_p_384_key_signs_with_sha_384(kind: str, expected: str) -> None:  # row 18
    ca = root(key(kind), algorithm=hashes.SHA256())
    made = throw_away_leaf(
        ca, SigningKey(key(kind)), public_key=_public(), serial=5, now=datetime(2026, 11, 23, tzinfo=UTC)
    )

    assert made.parsed.signature_hash_algorithm is not None
    assert made.parsed.signature_hash_algorithm.name == expected


def _public() -> Any:
    return key("p256", 99).public_key()

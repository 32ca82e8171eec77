"""Certificates that are not as they should be are told of in words and never bring a check down.

Texts and keys of every odd shape stand in hardcases/test_reading, the matrix of leaf and root in
hardcases/test_extending; here is what the library refuses to read, and how faults are worded.
"""

import traceback

import pytest
from cryptography import x509
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from bot.core.certificates import (
    Certificate,
    read_bundle,
    read_der,
    read_signing_key,
    why_not_a_signer,
    why_not_issued_by,
)
from bot.errors import KeyUnusable
from tests.unit.core.builders import (
    a_leaf,
    a_new_root,
    a_re_keyed_root,
    a_root,
    bundle,
    certificate,
    changed,
    the_leaf,
    the_root,
)
from tests.unit.hardcases.making import DAY, NOW, ASN1Type, key, name, pem_block, pem_of

A, B = the_root(), a_re_keyed_root()
BEGIN, END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
UNREADABLE = "holds a CERTIFICATE block that is not an X.509 certificate"

# --- texts ------------------------------------------------------------------------------------------

FAULTS: dict[str, tuple[bytes, list[Certificate], str]] = {
    "two glued blocks, of which Go finds none": (
        A.pem.rstrip() + B.pem, [], "has 1 certificate heading inside a line, where Istio sees none"),
    "a whole block behind two glued ones": (A.pem.rstrip() + B.pem + A.pem, [A], "END line is broken"),
    "an indented block": (b"  " + A.pem.replace(b"\n", b"\n  "), [], "1 certificate heading inside a line"),
    "two indented blocks": (
        b"  " + (A.pem + B.pem).replace(b"\n", b"\n  "), [], "2 certificate headings inside a line"),
    "a byte order mark before the first heading": (b"\xef\xbb\xbf" + A.pem + B.pem, [B], "inside a line"),
    "a TRUSTED CERTIFICATE": (
        pem_block(A.der, "TRUSTED CERTIFICATE"), [], "a block of another kind (trusted certificate)"),
    "a label that is none, which is not repeated": (
        b"-----BEGIN CERTIFICATE-----AAAA-----\n" + A.pem, [A], "another kind (unnamed)"),
    "text behind END": (A.pem.replace(END, END + b" # A"), [], "END line is broken"),
    "an END of another kind": (A.pem.replace(END, b"-----END X509-----") + B.pem, [B], "END line is broken"),
    "a second BEGIN before the END": (BEGIN + b"\nMIIB\n" + A.pem, [A], "END line is broken"),
    "headers before the base64": (A.pem.replace(BEGIN, BEGIN + b"\nProc-Type: 4"), [], "base64 or END"),
    "a certificate with a tail": (pem_block(A.der + b"\0"), [], "not an X.509 certificate"),
    "line ends of an old Mac": (A.pem.replace(b"\n", b"\r"), [], "no certificate that Istio can read"),
}  # fmt: skip


@pytest.mark.parametrize("case", FAULTS)
def test_where_istio_reads_less_than_a_kinder_reader_it_is_said_once(case: str) -> None:
    pem, kept, fault = FAULTS[case]

    read = read_bundle(pem)

    assert list(read.certificates) == kept
    assert [each for each in read.faults if fault in each]
    assert len(set(read.faults)) == len(read.faults)


def test_the_digest_of_a_bundle_is_of_the_bytes_and_not_of_their_meaning() -> None:
    spaced = read_bundle(A.pem + b"\n")

    assert spaced.digest != bundle(A).digest
    assert spaced.certificates == bundle(A).certificates


def test_ten_thousand_copies_of_one_root_are_parsed_once() -> None:
    first = read_bundle(bytes(bytearray(A.pem)))

    assert read_bundle(bytes(bytearray(A.pem))) is first


def test_the_whole_certificate_stays_out_of_its_repr() -> None:
    assert len(repr(A)) < 100


# --- what the library reads only in part --------------------------------------------------------------

O_CLUSTER_LOCAL = b"\x13\x0dcluster.local"
UNDECODABLE = b"\x14\x0dcluster\xe9local"
"""A T61String with a letter that cannot be told."""


def test_a_subject_that_cannot_be_read_can_still_be_named_and_compared() -> None:
    odd = certificate(A.der.replace(O_CLUSTER_LOCAL, UNDECODABLE))

    assert odd.subject == odd.issuer == "a name in an encoding that cannot be read"
    assert odd.subject_der == odd.issuer_der != A.subject_der
    assert b"cluster\xe9local" in odd.subject_der
    assert "names another issuer" in (why_not_issued_by(the_leaf(), odd, at=NOW) or "")


def test_names_are_given_as_encoded() -> None:
    leaf = the_leaf()

    assert leaf.issuer_der == A.subject_der == A.parsed.subject.public_bytes()
    assert (leaf.subject_der, leaf.issuer, leaf.subject) == (b"\x30\x00", "O=cluster.local", "")


def test_a_version_that_does_not_exist_is_no_certificate_and_no_crash() -> None:
    assert read_der(A.der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020105"))) == UNREADABLE


@pytest.mark.parametrize("serial", [1, 127, 128, 255, 256, 2**127, 2**158])
def test_every_positive_serial_number_is_read_whole(serial: int) -> None:
    assert a_root(serial=serial).serial == serial


OTHER = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.55"), b"\x30\x00")


def with_twice(one: Certificate, oid: str) -> Certificate:
    """A certificate that has `OTHER`, with that one's name changed into one that it has already."""
    return changed(one, "0603551d37", oid)


BY_SERIAL_ALONE = x509.UnrecognizedExtension(x509.AuthorityKeyIdentifier.oid, bytes.fromhex("300382010b"))
"""An authority key id with a serial number and no issuer, which the library does not read."""

ODD_LEAVES = {
    "an authority key id with a serial number alone": lambda: a_leaf(more=((BY_SERIAL_ALONE, False),)),
    "the same extension twice": lambda: with_twice(a_leaf(more=((OTHER, False),)), "0603551d11"),
}


@pytest.mark.parametrize("case", ODD_LEAVES)
def test_what_cannot_be_read_of_a_leaf_is_never_taken_for_fine(case: str) -> None:
    assert why_not_issued_by(ODD_LEAVES[case](), A, at=NOW) == "has extensions that cannot be read"


def test_a_root_with_extensions_that_cannot_be_read_signs_nothing() -> None:
    twice = with_twice(a_root(more=((OTHER, False),)), "0603551d13")

    assert why_not_a_signer(twice) == "has extensions that cannot be read"


def test_a_root_with_a_key_of_an_unknown_kind_vouches_for_nothing() -> None:
    odd = changed(A, "06072a8648ce3d0201", "06072a8648ce3d027b")

    assert odd.public_key_digest == ""
    assert "cannot be checked" in (why_not_issued_by(the_leaf(), odd, at=NOW) or "")


# --- what is said of a leaf under a root -------------------------------------------------------------

SAID = {
    "expired at 2026-11-22 18:41:00 UTC": (a_leaf(until=NOW - DAY), A),
    "is not valid before 2026-11-24 18:41:00 UTC": (a_leaf(since=NOW + DAY), A),
    "has a root that expired at 2026-11-22 18:41:00 UTC": (the_leaf(), a_root(until=NOW - DAY)),
    "has a root that is not valid before 2026-11-24 18:41:00 UTC": (the_leaf(), a_root(since=NOW + DAY)),
    "names another issuer (O=cluster.local)": (
        the_leaf(), a_root(subject=name("cluster.local", kind=ASN1Type.UTF8String))),
    "names another issuer (empty)": (a_leaf(issuer=x509.Name([])), A),
    "was signed with another key": (a_leaf(private=key("p256", 1)), A),
    "has a signature that cannot be checked with the root's key": (a_leaf(private=key("rsa2048")), A),
    "names its issuer by serial number, which a re-issued root cannot keep": (
        a_leaf(names="serial"), a_new_root()),
}  # fmt: skip


@pytest.mark.parametrize("sentence", SAID)
def test_a_refusal_goes_on_where_a_sentence_about_the_leaf_began(sentence: str) -> None:
    leaf, root = SAID[sentence]

    assert why_not_issued_by(leaf, root, at=NOW) == sentence


def test_a_changed_byte_in_a_leaf_is_seen() -> None:
    forged = changed(the_leaf(), b"/ns/shop/sa/cart", b"/ns/shop/sa/card")

    assert why_not_issued_by(forged, A, at=NOW) == "was signed with another key"


_ANY_LEAF = ExtensionPolicy.permit_all()
_ANY_CA = _ANY_LEAF.require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)


def rustls_like_accepts(leaf: Certificate, root: Certificate) -> bool:
    """What a verifier says that, like rustls and Go, compares names by their bytes."""
    builder = PolicyBuilder().store(Store([root.parsed])).time(NOW)
    verifier = builder.extension_policies(ca_policy=_ANY_CA, ee_policy=_ANY_LEAF).build_client_verifier()
    try:
        verifier.verify(leaf.parsed, [])
    except VerificationError:
        return False
    return True


BY_BYTES = {
    "the same key and name": (the_leaf(), a_new_root()),
    "a leaf from after under a root from before": (a_leaf(a_new_root()), A),
    "the same letters in another encoding": SAID["names another issuer (O=cluster.local)"],
    "another key under the same name": SAID["was signed with another key"],
    "a key id on the leaf and none on the root": (a_leaf(names="key id"), A),
    "an expired leaf": SAID["expired at 2026-11-22 18:41:00 UTC"],
}


@pytest.mark.parametrize("case", BY_BYTES)
def test_a_verifier_that_compares_names_by_bytes_says_the_same(case: str) -> None:
    leaf, root = BY_BYTES[case]

    assert rustls_like_accepts(leaf, root) is (why_not_issued_by(leaf, root, at=NOW) is None)


# --- keys ------------------------------------------------------------------------------------------------

BAD_KEYS = {
    "one whose body was damaged": pem_of(key()).replace(b"M", b"N", 1),
    "a certificate in the guise of one": pem_block(A.der, "PRIVATE KEY"),
    "one that is cut off": pem_of(key())[:-60],
}


def everything(fault: BaseException) -> str:
    """All that a logger could write of an exception, hidden contexts included."""
    seen: BaseException | None = fault
    text = ""
    while seen is not None:
        text += "".join(traceback.format_exception(seen)) + repr(seen.args)
        seen = seen.__cause__ or seen.__context__
    return text


@pytest.mark.parametrize("case", BAD_KEYS)
def test_the_library_s_own_words_about_a_key_are_not_even_in_a_hidden_context(case: str) -> None:
    with pytest.raises(KeyUnusable) as caught:
        read_signing_key(BAD_KEYS[case])

    assert caught.value.__context__ is None
    assert "ASN.1" not in everything(caught.value)

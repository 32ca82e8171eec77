"""Which leaf is accepted under which root, and in which words it is refused."""

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from bot.core.certificates import Certificate
from bot.core.verifiers import why_not_a_signer, why_not_issued_by
from tests.unit.core.builders import (
    a_leaf,
    a_new_root,
    a_re_keyed_root,
    a_root,
    changed,
    the_leaf,
    the_root,
)
from tests.unit.hardcases.making import DAY, NOW, ASN1Type, key, name

A, B = the_root(), a_re_keyed_root()
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

UNKNOWN_CRITICAL = ((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"), True),)


def by_serial(issuer: x509.GeneralName) -> Certificate:
    named = x509.AuthorityKeyIdentifier(None, [issuer], A.serial)
    return a_leaf(more=((named, False),))


FOR_BOTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
NAMELESS = a_root(subject=x509.Name([]))

SAID = {
    "has a critical extension that verifiers refuse: 1.2.3": (a_leaf(more=UNKNOWN_CRITICAL), A),
    "has a root that has a critical extension that verifiers refuse: 1.2.3": (
        the_leaf(), a_root(more=UNKNOWN_CRITICAL)),
    "names another certificate in its authority key id": (by_serial(x509.DirectoryName(name("zzz"))), A),
    "has its issuer's own name (empty), so OpenSSL takes it for self-signed": (a_leaf(NAMELESS), NAMELESS),
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


ACCEPTED = {
    "a root that is critically for servers and clients": lambda: (
        the_leaf(), a_root(more=((FOR_BOTH, True),))),
    "a leaf that names this very root by serial": lambda: (
        by_serial(x509.DirectoryName(A.parsed.issuer)), A),
    "a leaf that names its root by serial and by a name of another kind": lambda: (
        by_serial(x509.DNSName("a")), A),
    "a root without a name under itself": lambda: (NAMELESS, NAMELESS),
}  # fmt: skip


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_every_verifier_takes_is_taken(case: str) -> None:
    leaf, root = ACCEPTED[case]()

    assert why_not_issued_by(leaf, root, at=NOW) is None


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

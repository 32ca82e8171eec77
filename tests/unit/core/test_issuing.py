"""Extending a root compares bytes, not meanings: what it cannot reproduce, it does not make.

Which roots can be extended, and who accepts what under them, stands in hardcases/test_extending.
"""

import pytest
from cryptography import x509

from bot.core.certificates import Certificate
from bot.core.der import extensions_but_authority_key
from bot.core.issuing import extend_root, throw_away_leaf
from bot.core.verifiers import why_not_issued_by
from bot.errors import CertificateUnusable
from tests.unit.core.builders import a_root, changed, the_root
from tests.unit.hardcases.making import DAY, NOW, Extensions, key, name, signer


def extended(old: Certificate) -> Certificate:
    return extend_root(old, signer(), serial=2**126 + 5, now=NOW, lifetime=3650 * DAY)


def test_an_extension_that_would_be_encoded_otherwise_is_refused() -> None:
    """A key usage that claims unused bits: the meaning is the same, the bytes are not."""
    old = changed(the_root(), "0603551d0f0101ff040403020204", "0603551d0f0101ff040403020004")

    with pytest.raises(CertificateUnusable, match="extensions could not be reproduced byte for byte"):
        extended(old)


def test_a_subject_that_cannot_be_read_is_refused_and_not_guessed() -> None:
    odd = the_root().der.replace(b"\x13\x0dcluster.local", b"\x14\x0dcluster\xe9local")

    with pytest.raises(CertificateUnusable, match="an encoding that cannot be read, so it cannot be"):
        extended(changed(the_root(), the_root().der, odd))


SUBJECT_KEY_ID = (x509.SubjectKeyIdentifier(b"\x01" * 20), False)
AUTHORITY_KEY_ID = (x509.AuthorityKeyIdentifier(b"\x01" * 20, None, None), False)
ALTERNATIVE = (x509.SubjectAlternativeName([x509.DNSName("ca")]), False)


@pytest.mark.parametrize(
    ("more", "number"),
    [
        ((), 2),
        ((SUBJECT_KEY_ID, ALTERNATIVE), 4),
        ((ALTERNATIVE, SUBJECT_KEY_ID), 4),
        ((ALTERNATIVE, AUTHORITY_KEY_ID, SUBJECT_KEY_ID), 4),
    ],
    ids=["Citadel's own", "with a key id", "in another order", "without an authority key id"],
)
def test_extensions_are_kept_byte_for_byte_and_in_order(more: Extensions, number: int) -> None:
    old = a_root(more=more)

    kept = extensions_but_authority_key(extended(old).der)

    assert kept == extensions_but_authority_key(old.der)
    assert len(kept) == number


def test_a_root_without_any_extension_has_none_to_keep() -> None:
    assert extensions_but_authority_key(a_root(ca=None, key_usage=frozenset()).der) == ()


@pytest.mark.parametrize("text", ["", "x" * 64])
def test_an_odd_name_is_kept_byte_for_byte(text: str) -> None:
    old = a_root(subject=name(text) if text else x509.Name([]))

    new = extended(old)

    assert new.subject_der == new.issuer_der == old.subject_der


def test_a_throw_away_leaf_is_nobody() -> None:
    public = key("p256", 99).public_key()

    leaf = throw_away_leaf(the_root(), signer(), public_key=public, serial=77, now=NOW)  # type: ignore[arg-type]

    names = leaf.parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    found = names.get_values_for_type(x509.UniformResourceIdentifier)
    assert found == ["spiffe://rootkeeper.invalid/throw-away"]
    assert leaf.subject_der == b"\x30\x00"


def test_a_throw_away_leaf_tells_a_root_with_another_key_id_from_the_right_one() -> None:
    public = key("p256", 99).public_key()
    right, wrong = a_root(ski=b"\x01" * 20), a_root(ski=b"\x02" * 20)

    leaf = throw_away_leaf(right, signer(), public_key=public, serial=77, now=NOW)  # type: ignore[arg-type]

    assert why_not_issued_by(leaf, right, at=NOW) is None
    assert "another authority key id" in (why_not_issued_by(leaf, wrong, at=NOW) or "")

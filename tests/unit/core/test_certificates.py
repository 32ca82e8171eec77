"""Certificates that are not as they should be are told of in words and never bring a check down.

Texts and keys of every odd shape stand in hardcases/test_reading, the matrix of leaf and root in
hardcases/test_extending; here is what the library refuses to read, and how faults are worded.
"""

import traceback
from dataclasses import replace

import pytest

from bot.core.certificates import (
    MOST_READ,
    Certificate,
    describe_key,
    read_bundle,
    read_der,
    read_signing_key,
)
from bot.core.checks import table
from bot.core.checks.rule import Check
from bot.core.findings import Verdict
from bot.core.verifiers import why_not_issued_by
from bot.errors import KeyUnusable
from tests.unit.core.builders import (
    a_ca_secret,
    a_mesh,
    a_re_keyed_root,
    a_root,
    a_secret,
    a_trust,
    a_webhook,
    bundle,
    certificate,
    said,
    the_leaf,
    the_root,
)
from tests.unit.hardcases.making import NOW, any_key, key, pem_block, pem_of

A, B = the_root(), a_re_keyed_root()
BEGIN, END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
PADDED = next(one for one in (a_root(serial=10**6 + n) for n in range(400)) if len(one.der) % 3 == 0)
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
    "a padding that is too long": (pem_block(PADDED.der).replace(b"\n-----END", b"=\n-----END"), [], "base64 or END"),
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


# --- what is too long to be read ------------------------------------------------------------------------

LONGEST = A.pem + b"\n" * (MOST_READ - len(A.pem))
TOO_LONG = LONGEST + b"\n"


def test_a_text_is_read_up_to_its_longest_and_not_beyond() -> None:
    assert read_bundle(LONGEST).certificates == (A,)
    assert read_bundle(LONGEST).read

    beyond = read_bundle(TOO_LONG)

    assert (beyond.certificates, beyond.read) == ((), False)
    assert beyond.faults == ("is 65,537 bytes long, and more than 65,536 are not read",)
    assert beyond.digest != read_bundle(LONGEST).digest


def test_a_block_of_many_short_lines_is_read_as_it_is() -> None:
    body = b"".join(A.pem.splitlines()[1:-1])
    lines = b"\n".join(body[at : at + 1] for at in range(len(body)))

    bundle = read_bundle(b"-----BEGIN CERTIFICATE-----\n" + lines + b"\n-----END CERTIFICATE-----\n")

    assert (bundle.certificates, bundle.faults) == ((A,), ())


UNREAD = {
    table.SECRETS: a_mesh(secrets=(a_secret(root=read_bundle(TOO_LONG)),)),
    table.TRUST: a_mesh(trust=replace(a_trust(), root=read_bundle(TOO_LONG))),
    table.WEBHOOKS: a_mesh(webhooks=(a_webhook(root=read_bundle(TOO_LONG)),)),
    table.READABLE: a_mesh(ca_secret=a_ca_secret(root=read_bundle(TOO_LONG))),
}


@pytest.mark.parametrize("check", UNREAD, ids=lambda check: check.id)
def test_what_was_not_read_is_unknown_whoever_holds_it(check: Check) -> None:
    finding = said(check, UNREAD[check])

    assert finding is not None
    assert finding.verdict == "unknown"
    assert "are not read" in " ".join((finding.summary, *finding.offenders))
    assert finding.hint


@pytest.mark.parametrize("kind", ["rsa1024", "rsa2048", "p256", "p384", "p521", "ed25519"])
def test_a_key_that_signing_refuses_is_no_key_that_a_check_calls_fine(kind: str) -> None:
    private = any_key(kind)

    refused = describe_key(pem_of(private)).fault
    told = said(table.ALGORITHM, a_mesh(ca_secret=a_ca_secret(a_root(private))))

    assert told is not None
    assert told.verdict is (Verdict.NOT_OK if refused else Verdict.OK)
    assert not refused or told.summary == refused.replace("the CA's key", "the root's key")

"""Envoy's `/certs` in all its forms (facts/istio.md 4.1 and 6.5, 48 to 51)."""

import json
import tracemalloc
from datetime import UTC, datetime

import pytest

from bot.core.mesh import LoadedCertificate
from bot.edges.kube.certs_page import (
    CUT_OFF,
    LONGEST_PAGE,
    NO_CONTEXT,
    NOT_A_PAGE,
    OLD_FORMAT,
    TOO_LONG,
    CertsPage,
    Loaded,
)

ROOT: dict[str, object] = {
    "path": "/etc/certs/root-cert.pem",
    "serial_number": "ade6c290ffcee6ded23b26cb367b258c",
    "subject_alt_names": [],
    "days_until_expiration": "3648",
    "valid_from": "2021-11-15T08:34:55Z",
    "expiration_time": "2031-11-13T08:34:55Z",
}
LEAF: dict[str, object] = {
    "path": "/etc/certs/cert-chain.pem",
    "serial_number": "0f",
    "subject_alt_names": [{"uri": "spiffe://cluster.local/ns/x/sa/y"}],
    "days_until_expiration": "0",
    "valid_from": "2026-01-01T00:00:00Z",
    "expiration_time": "2026-04-01T00:00:00Z",
}


def read_certs_page(body: bytes) -> Loaded:
    """A whole page at once."""
    page = CertsPage()
    page.feed(body)
    return page.result()


INLINE_ROOT, INLINE_LEAF = ROOT | {"path": "<inline>"}, LEAF | {"path": "<inline>"}
USERS_LEAF = LEAF | {
    "path": "/etc/istio/ingressgateway-certs/tls.crt",
    "subject_alt_names": [{"dns": "shop.example"}],
}
USERS_ROOT = ROOT | {"path": "/etc/istio/ingressgateway-ca-certs/ca.crt", "serial_number": "c0ffee"}

LOADED_ROOT = LoadedCertificate(
    serial=0xADE6C290FFCEE6DED23B26CB367B258C,
    not_before=datetime(2021, 11, 15, 8, 34, 55, tzinfo=UTC),
    not_after=datetime(2031, 11, 13, 8, 34, 55, tzinfo=UTC),
)
LOADED_LEAF = LoadedCertificate(
    serial=15,
    not_before=datetime(2026, 1, 1, tzinfo=UTC),
    not_after=datetime(2026, 4, 1, tzinfo=UTC),
)
BOTH = Loaded(roots=(LOADED_ROOT,), leaves=(LOADED_LEAF,))


def context(
    root: dict[str, object] | None = None, leaf: dict[str, object] | None = None
) -> dict[str, object]:
    """One TLS context."""
    return {"ca_cert": [root] if root else [], "cert_chain": [leaf] if leaf else []}


def page(*contexts: object) -> bytes:
    """A whole page."""
    return json.dumps({"certificates": contexts}).encode()


def without(details: dict[str, object], key: str) -> dict[str, object]:
    return {name: value for name, value in details.items() if name != key}


READABLE = {
    "the format of Istio 1.0 to 1.5": page(context(ROOT, LEAF)),
    "certificates by SDS": page(context(INLINE_ROOT, INLINE_LEAF)),
    "a page printed with spaces and line ends": json.dumps(
        {"certificates": [context(ROOT, LEAF)]}, indent=1
    ).encode(),
    "escaped angle brackets": page(context(INLINE_ROOT, INLINE_LEAF)).replace(b"<", b"\\u003c"),
    "the same context hundreds of times": page(*[context(ROOT, LEAF)] * 500),
    "days as a number": page(context(ROOT | {"days_until_expiration": 3648}, LEAF)),
    "no days at all": page(context(without(ROOT, "days_until_expiration"), LEAF)),
    "no names, as before Envoy 1.9": page(context(ROOT, without(LEAF, "subject_alt_names"))),
    "names as plain strings": page(
        context(INLINE_ROOT, INLINE_LEAF | {"subject_alt_names": ["spiffe://cluster.local/ns/x/sa/y"]})
    ),
    "fields of newer Envoys": page(context(ROOT | {"ocsp_details": {"valid_from": "x"}}, LEAF)),
    "fractions of a second": page(context(ROOT | {"valid_from": "2021-11-15T08:34:55.250Z"}, LEAF)),
    "a serial number with colons": page(context(ROOT, LEAF | {"serial_number": "00:0F"})),
    "one certificate instead of a list of one": page({"ca_cert": ROOT, "cert_chain": LEAF}),
    "a context without certificates beside it": page(context(), context(ROOT, LEAF), {}),
    "the root and the leaf in contexts of their own": page(context(ROOT), context(None, LEAF)),
}


@pytest.mark.parametrize("body", READABLE.values(), ids=READABLE)
def test_a_readable_page_tells_the_root_and_the_leaf(body: bytes) -> None:
    assert read_certs_page(body) == BOTH


USERS = {
    "from files": context(None, USERS_LEAF),
    "by credentialName": context(None, USERS_LEAF | {"path": "<inline>"}),
    "with a root for its clients": context(USERS_ROOT, USERS_LEAF),
    "without names": context(USERS_ROOT, without(USERS_LEAF, "subject_alt_names")),
}


@pytest.mark.parametrize("users", USERS.values(), ids=USERS)
def test_row_49_a_gateway_with_its_users_certificates_is_judged_by_the_meshs_alone(
    users: dict[str, object],
) -> None:
    assert read_certs_page(page(users, context(ROOT, LEAF))) == BOTH
    assert read_certs_page(page(users)) == Loaded(
        fault="has no TLS context of the mesh (1 with other certificates)"
    )


UNREADABLE = {
    "nothing": (b"", "answered nothing"),
    "blanks": (b" \n", "answered nothing"),
    "an empty list": (b'{"certificates":[]}', NO_CONTEXT),
    "a printed empty list": (b'{\n "certificates": []\n}\n', NO_CONTEXT),
    "no list": (b"{}", NO_CONTEXT),
    "null": (b'{"certificates": null}', NO_CONTEXT),
    "a bare empty list": (b"[]", NO_CONTEXT),
    "an error page": (b"<html><body>no healthy upstream</body></html>", NOT_A_PAGE),
    "another document": (b'{"error": "not found"}', NOT_A_PAGE),
    "a sentence": (b"curl: (7) Failed to connect", NOT_A_PAGE),
    "UTF-16": (json.dumps({"certificates": []}).encode("utf-16"), NOT_A_PAGE),
    "brackets without end": (b'{"certificates":[' + b"[" * 100_000, NOT_A_PAGE),
    "a context without end": (b'{"certificates":[{"a":"' + b"x" * 2_000_000, NOT_A_PAGE),
}


@pytest.mark.parametrize(("body", "fault"), UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_page_is_a_fault_and_no_certificate(body: bytes, fault: str) -> None:
    assert read_certs_page(body) == Loaded(fault=fault)


def test_the_old_format_has_no_beginning_and_says_so() -> None:
    sentence = "Certificate Path: /etc/certs/root-cert.pem, Serial Number: 0f, Days until Expiration: 3648"

    assert read_certs_page(page({"ca_cert": sentence, "cert_chain": sentence})) == Loaded(fault=OLD_FORMAT)


@pytest.mark.parametrize("length", [60, 200, 400, 700])
def test_a_page_that_breaks_off_is_never_fine(length: int) -> None:
    body = page(context(ROOT, LEAF), context(ROOT, LEAF))

    assert read_certs_page(body[:length]).fault == CUT_OFF


def test_the_heads_end_of_the_original_script_cuts_a_page_and_is_seen() -> None:
    body = page(*[context(ROOT, LEAF)] * 3)[:1000]

    assert read_certs_page(body).fault == CUT_OFF


MISSING = {
    "no serial number": without(ROOT, "serial_number"),
    "an empty serial number": ROOT | {"serial_number": ""},
    "a serial number that is no number": ROOT | {"serial_number": "xyz"},
    "no beginning": without(ROOT, "valid_from"),
    "no end": without(ROOT, "expiration_time"),
    "a beginning without a zone": ROOT | {"valid_from": "2021-11-15T08:34:55"},
    "a beginning that is no date": ROOT | {"valid_from": "yesterday"},
    "a beginning that is no text": ROOT | {"valid_from": 1636965295},
}


@pytest.mark.parametrize("root", MISSING.values(), ids=MISSING)
def test_a_certificate_with_missing_keys_is_a_fault(root: dict[str, object]) -> None:
    told = read_certs_page(page(context(root, LEAF)))

    assert told.roots == ()
    assert told.fault.startswith("lists a certificate without ")


def test_a_mesh_context_without_a_root_is_a_fault() -> None:
    told = read_certs_page(page(context(None, LEAF)))

    assert told.leaves == (LOADED_LEAF,)
    assert told.fault == "has a TLS context of the mesh without a root certificate"


def test_two_roots_in_use_are_both_told() -> None:
    newer = ROOT | {"serial_number": "10"}

    told = read_certs_page(page(context(ROOT, LEAF), context(newer, LEAF)))

    assert [root.serial for root in told.roots] == [LOADED_ROOT.serial, 16]


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_page_may_come_in_pieces_of_any_size(size: int) -> None:
    body = page(context(ROOT | {"subject_alt_names": [{"dns": "größe.example"}]}, LEAF), context(ROOT, LEAF))
    reader = CertsPage()

    for start in range(0, len(body), size):
        reader.feed(body[start : start + size])

    assert reader.complete
    assert reader.result() == BOTH


def test_a_page_is_complete_before_its_stream_ends() -> None:
    reader = CertsPage()

    reader.feed(page(context(ROOT, LEAF)).removesuffix(b"}"))

    assert reader.complete
    assert reader.result() == BOTH


def test_fifty_megabytes_are_read_in_little_memory() -> None:
    piece = json.dumps(context(ROOT, LEAF)).encode() + b","
    many = piece * 100
    reader = CertsPage()
    tracemalloc.start()

    reader.feed(b'{"certificates":[')
    for _ in range(50_000_000 // len(many)):
        reader.feed(many)
    reader.feed(piece[:-1] + b"]}")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert reader.result() == BOTH
    assert peak < 2_000_000


def test_a_page_longer_than_any_real_one_is_given_up() -> None:
    reader = CertsPage()
    reader.feed(b'{"certificates":[')
    blanks = b" " * (1024 * 1024)

    for _ in range(LONGEST_PAGE // len(blanks) + 1):
        reader.feed(blanks)

    assert reader.complete
    assert reader.result() == Loaded(fault=TOO_LONG)

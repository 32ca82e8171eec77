"""Documents come back exactly or not at all, and no secret becomes one."""

import json
from dataclasses import is_dataclass, replace
from datetime import UTC, datetime, timedelta
from types import UnionType
from typing import Any, NewType, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.record import AuditEvent, CheckRecord, Content, Given
from bot.core.rotation import Rotation
from bot.edges.store.guard import refuse_secrets, withheld
from bot.edges.store.records import Stored, decode, decode_content, encode
from bot.errors import StoreError
from tests.contract.store_samples import NOW, PRIVATE_KEY, PROD, a_rotation, an_event

# --- documents -------------------------------------------------------------------------------


def storable(text: str) -> bool:
    """Whether the guard lets it pass: hypothesis tries the very words that it finds in the code."""
    try:
        refuse_secrets(text)
    except StoreError:
        return False
    return True


LEAVES: dict[object, st.SearchStrategy[object]] = {
    datetime: st.datetimes(timezones=st.just(UTC)),
    str: st.text(st.characters(), max_size=20).filter(storable),  # lone surrogates and NUL too
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type. Not hypothesis' own from_type: its registry is every test's."""
    if kind in LEAVES:
        return LEAVES[kind]
    if isinstance(kind, NewType):
        return values(kind.__supertype__)
    if isinstance(kind, type) and is_dataclass(kind):
        fields = {name: values(hint) for name, hint in get_type_hints(kind).items()}
        return st.builds(kind, **fields)
    parts = get_args(kind)
    if get_origin(kind) is UnionType:
        return st.one_of([values(part) for part in parts])
    if get_origin(kind) is tuple and parts[-1] is Ellipsis:
        return st.lists(values(parts[0]), max_size=2).map(tuple)
    if get_origin(kind) is tuple:
        return st.tuples(*(values(part) for part in parts))
    return st.from_type(kind)


@pytest.mark.parametrize("kind", [Rotation, AuditEvent, CheckRecord, Given])
def test_a_document_gives_back_exactly_what_was_put_in(
    kind: type[Rotation | AuditEvent | CheckRecord | Given],
) -> None:
    @settings(max_examples=60, deadline=None)
    @given(values(kind))
    def check(value: Rotation | AuditEvent | CheckRecord | Given) -> None:
        assert decode(kind, encode(value)) == value

    check()


@pytest.mark.parametrize("kind", get_args(Content))
def test_a_content_gives_back_exactly_what_was_put_in(kind: type[Content]) -> None:
    @settings(max_examples=40, deadline=None)
    @given(values(kind))
    def check(value: Content) -> None:
        restored = decode_content(encode(value))
        assert restored == value
        assert type(restored) is kind

    check()


def test_a_serial_number_of_127_bits_and_half_a_microsecond_less_survive() -> None:
    check = CheckRecord(mesh=PROD, at=NOW, ok=True, summary="", remaining=timedelta(days=-9, microseconds=1))

    assert decode(Rotation, encode(a_rotation())).plan.new_root.serial == 2**127 - 1
    assert decode(CheckRecord, encode(check)) == check


def test_a_rotation_from_before_endings_and_reminders_is_still_read() -> None:
    today = a_rotation()
    body = json.loads(encode(today).body)
    for later in ("left_behind", "paused_at", "reminded_at"):
        del body[later]

    read = decode(Rotation, Stored(kind="Rotation", format=1, body=json.dumps(body)))

    assert read == today


def test_a_check_from_before_lines_were_remembered_is_still_read() -> None:
    check = CheckRecord(mesh=PROD, at=NOW, ok=True, summary="fine", last_success=NOW)
    body = json.loads(encode(check).body)
    del body["told_at"]

    assert decode(CheckRecord, Stored(kind="CheckRecord", format=1, body=json.dumps(body))) == check


def test_a_document_of_an_unknown_format_is_refused_with_a_hint() -> None:
    with pytest.raises(StoreError, match="format 2") as fault:
        decode(Rotation, replace(encode(a_rotation()), format=2))

    assert "newer" in fault.value.hint


def test_a_content_of_an_unknown_class_is_refused_with_a_hint() -> None:
    with pytest.raises(StoreError, match="Poem") as fault:
        decode_content(Stored(kind="Poem", format=1, body="{}"))

    assert "newer" in fault.value.hint


@pytest.mark.parametrize("body", ["", "{", "[]", '{"id": 1}', "null"])
def test_a_damaged_document_is_told(body: str) -> None:
    with pytest.raises(StoreError, match="Rotation in the record cannot be read"):
        decode(Rotation, Stored(kind="Rotation", format=1, body=body))


# --- the guard -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        PRIVATE_KEY,
        b"\xff" + PRIVATE_KEY.encode(),
        {"a": [("b", PRIVATE_KEY)]},
        {"xoxb-1234567890": 1},
        "bearer xapp-1-A0B1C2-99",
        "xoxe-1-abcdefgh",
        "cannot read\\nxoxb-1234567890-ABC",
        "token%3Dxapp-1-A0B1C2D3-99-0a",
        "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQo=",
        "eFBSSVZBVEUgS0VZ",
        "eHhQUklWQVRFIEtFWQ==",
    ],
)
def test_a_secret_is_refused_wherever_it_hides(value: object) -> None:
    with pytest.raises(StoreError, match="private key or a Slack token"):
        refuse_secrets(value)


@pytest.mark.parametrize(
    "value",
    [
        "-----BEGIN CERTIFICATE-----",
        "set SLACK_BOT_TOKEN to a token that begins with xoxb-…",
        "the private key does not match",
        "no start line:Expecting: ANY PRIVATE KEY",
        {"name": "ricxapp-trafficxapp", "secret": "ricxapp/istio.ricxapp-hwxapp", "mesh": "xapp-onboarder"},
        None,
        7,
        {"n": 2**127},
    ],
)
def test_what_only_speaks_of_secrets_is_not(value: object) -> None:
    refuse_secrets(value)
    assert withheld(value) == value


@pytest.mark.parametrize("cut", range(30, 50))
@pytest.mark.parametrize("escaped", ["\n", " ", "\u2019"])
def test_what_the_text_keeps_the_document_may_hold(escaped: str, cut: int) -> None:
    event = an_event(a=f"ANY PRIVATE KEY{escaped}{'a' * cut}")

    refuse_secrets(encode(event).body)


def test_a_document_is_written_without_the_secrets_in_its_text() -> None:
    document = {"a": [("b", f"cannot be read: {PRIVATE_KEY}"), 7], "c": "bearer xapp-1-A0B1C2-99 refused"}

    kept = withheld(document)

    refuse_secrets(kept)
    assert kept == {
        "a": [["b", "(withheld: it held a private key)"], 7],
        "c": "bearer (a Slack token, withheld) refused",
    }

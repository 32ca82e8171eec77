"""Meshes of other kinds: what is left alone is left alone with its reason, what is odd is named."""

from collections.abc import Iterator
from typing import Any

import pytest

from bot.sandbox.cluster.proxies import Oddity
from bot.sandbox.cluster.scene import ACCOUNTS, MutualTls, Scene, Stray
from tests.scenario.moments import change_secret
from tests.scenario.room import MESH, SMALL, Room, open_room, shown

ODD = {
    "shop/frontend": Oddity.EMPTY,
    "shop/cart": Oddity.TRUNCATED,
    "shop/catalog": Oddity.HTML,
    "shop/checkout": Oddity.OLD_FORMAT,
    "shop/recommendations": Oddity.UNREACHABLE,
    "payments/gateway": Oddity.EMPTY,
    "payments/ledger": Oddity.HTML,
    "payments/fraud": Oddity.TRUNCATED,
    "payments/invoices": Oddity.HTML,
    "payments/payouts": Oddity.UNREACHABLE,
    "platform/sessions": Oddity.EMPTY,
    "platform/accounts": Oddity.HTML,
}
ODD_MESH = Scene(
    accounts=(*ACCOUNTS, ("legacy", ("billing",))),
    unmanaged=("legacy",),
    oddities=ODD,
    proxy_versions={"platform/media": "1.1.5"},
    strays=(Stray.COMPLETED, Stray.PLAIN),
)


def asked(room: Room, verb: str) -> str:
    """Ask for a report and read it."""
    return room.asked(
        f"/istio-root {verb} {MESH}" + (" lifetime=10y because" if verb == "transition" else "")
    )


def scene(**knobs: Any) -> Scene:
    """The small mesh with other knobs."""
    return Scene(accounts=SMALL.accounts, contexts=SMALL.contexts, **knobs)


def test_a_mesh_without_mutual_tls_whose_webhooks_need_the_root_is_told_what_stops() -> None:
    with open_room(scene(mutual_tls=MutualTls.OFF)) as room:
        said = asked(room, "check")

    assert "at its end no pod gets a sidecar and no configuration of Istio can be applied" in said
    assert "nothing needs to be done" not in said.lower()


def test_a_mesh_with_neither_mutual_tls_nor_webhooks_is_told_that_nothing_needs_to_be_done() -> None:
    with open_room(scene(mutual_tls=MutualTls.OFF, webhooks=False)) as room:
        said = asked(room, "check")

    assert "mtls.use" not in said, "it is settled, not unknown"
    assert "nothing needs to be done" in said.lower()


def test_a_mesh_that_plans_mutual_tls_is_told_when_to_rotate() -> None:
    with open_room(scene(mutual_tls=MutualTls.PLANNED)) as room:
        said = asked(room, "check")

    assert "rotating is not urgent, and worth doing before it is switched on" in said
    assert "nothing needs to be done" not in said.lower()


def test_row_46_a_plugged_in_ca_is_recognised_and_refused_with_the_reason() -> None:
    with open_room(scene(plugged_in=True)) as room:
        said = asked(room, "transition")

        assert "ca.recognised" in said
        assert "cacerts" in said
        assert room.cards() == []
        assert room.writes("cacerts") == []


def test_rows_28_and_30_a_secret_kept_by_gitops_or_immutable_is_refused_with_the_reason() -> None:
    with open_room(scene(ca_labels={"argocd.argoproj.io/instance": "mesh"})) as room:
        kept = asked(room, "transition")
        room.cluster.do(change_secret("istio-ca-secret", lambda v: v["metadata"].pop("labels")))
        room.cluster.do(change_secret("istio-ca-secret", lambda v: v.update(immutable=True)))
        frozen = asked(room, "transition")

        assert "ca.owner" in kept
        assert "argocd.argoproj.io/instance=mesh" in kept
        assert "immutable" in frozen
        assert room.cards() == []
        assert room.writes() == []


@pytest.fixture(scope="module")
def odd() -> Iterator[Room]:
    with open_room(ODD_MESH) as room:
        yield room


def test_row_48_proxies_with_odd_pages_are_unknown_by_name_each_with_its_reason(odd: Room) -> None:
    said = asked(odd, "verify")

    assert "could not tell" in said
    assert "Everything was read" not in said
    odd.settled()
    file = odd.slack.record()["files"][-1]
    for workload in ODD:
        name = workload.partition("/")[2]
        row = next(line for line in file["content"].splitlines() if f"/{name}" in line)
        assert "\tunknown\t" in row


def test_row_37_more_than_ten_stragglers_come_as_one_file_in_the_thread_of_the_report(odd: Room) -> None:
    odd.settled()
    report = odd.seen(lambda m: "Verify of prod" in m.content.text, "the report")

    file = odd.slack.record()["files"][-1]

    assert "in the file in this thread" in shown(report.content)
    assert file["thread_ts"] == report.ts
    assert len(file["content"].splitlines()) == 1 + len(ODD)


def test_row_41_unmanaged_namespaces_and_finished_pods_are_skipped_and_counted(odd: Room) -> None:
    said = asked(odd, "verify")

    assert "1 skipped" in said or "2 skipped" in said
    assert "legacy/billing" not in odd.slack.record()["files"][-1]["content"]


def test_a_sidecar_that_will_not_load_a_new_root_is_named_with_its_cure(odd: Room) -> None:
    said = asked(odd, "check")

    assert "dp.version" in said
    assert "media" in said
    assert "1.1.5" in said
    assert "restart" in said

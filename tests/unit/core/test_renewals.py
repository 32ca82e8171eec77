"""Certificates in use that should have been replaced long ago: facts/istio.md, 1.2, 1.3 step 6 and 6.3."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.certificates import Certificate
from bot.core.checks import table
from bot.core.checks.rule import Check
from bot.core.checks.table import PREFLIGHT, RENEWALS, ROUTINE, VERIFICATION
from bot.core.findings import Verdict, overall
from bot.core.mesh import MeshSnapshot, ObjectRef
from bot.core.notices import SETTLING, holders_of_no_account
from bot.core.renewals import Renewal, judge_renewals
from bot.core.reports import first_break
from bot.core.verification import Holder
from tests.unit.core.builders import (
    SYSTEM,
    a_citadel,
    a_leaf,
    a_mesh,
    a_namespace,
    a_proxy,
    a_root,
    a_secret,
    a_served,
    a_workload,
    bundle,
    found,
    loaded,
    said,
    the_leaf,
    the_root,
    verdict_of,
)
from tests.unit.hardcases.making import DAY, NOW, key

OVERDUE = a_leaf(since=NOW - 88 * DAY, until=NOW + 2 * DAY, serial=77)
ENDED = a_leaf(since=NOW - 92 * DAY, until=NOW - 2 * DAY, serial=78)
OTHER_CA = a_root(key("p256", 1), serial=44)
MINUTE = timedelta(minutes=1)

HOLDING = {
    "ws.leaf_expiry": lambda leaf: a_mesh(secrets=(a_secret("cart", leaf=leaf), a_secret("frontend"))),
    "webhook.leaf_expiry": lambda leaf: a_mesh(served=(a_served(leaf), a_served())),
    "dp.leaf_expiry": lambda leaf: a_mesh(proxies=(a_proxy("cart", leaves=(loaded(leaf),)), a_proxy("frontend"))),
}  # fmt: skip
CHECKS = {check.id: check for check in RENEWALS}
TOLD = {
    "ws.leaf_expiry": "the certificate in Secret shop/istio.cart",
    "webhook.leaf_expiry": "the certificate that Pod istio-system/istio-galley-x1 shows",
    "dp.leaf_expiry": "the certificate loaded by shop/cart-0",
}


def of_age(days: float) -> Certificate:
    """A certificate for 90 days of which so many are over."""
    since = NOW - timedelta(days=days)
    return a_leaf(since=since, until=since + 90 * DAY, serial=79)


@pytest.mark.parametrize("check", RENEWALS, ids=lambda check: check.id)
def test_a_healthy_mesh_renews_in_time(check: Check) -> None:
    assert verdict_of(check, a_mesh()) == "ok"


@pytest.mark.parametrize("what", HOLDING)
def test_an_overdue_certificate_is_a_warning_and_names_its_holder(what: str) -> None:
    finding = said(CHECKS[what], HOLDING[what](OVERDUE))

    assert finding is not None
    assert (finding.verdict, finding.severity, finding.red) == ("not_ok", "warning", True)
    assert finding.summary.startswith("1 of 2 ")
    (offender,) = finding.offenders
    assert offender.endswith(
        "its certificate ends in 2 days, at 2026-11-25 18:41:00 UTC, and should have been renewed on 2026-10-11"
    )
    assert finding.hint


@pytest.mark.parametrize("what", HOLDING)
def test_a_mesh_with_an_overdue_certificate_is_not_called_fine(what: str) -> None:
    findings = found(ROUTINE, HOLDING[what](OVERDUE))

    assert overall(findings.values()) == "not_ok"


@pytest.mark.parametrize("what", HOLDING)
def test_an_overdue_certificate_breaks_first(what: str) -> None:
    assert first_break(HOLDING[what](OVERDUE), the_root()) == f"{TOLD[what]} ends at 2026-11-25 18:41:00 UTC"


@pytest.mark.parametrize("what", HOLDING)
def test_one_that_has_ended_broke_first_not_the_root(what: str) -> None:
    assert first_break(HOLDING[what](ENDED), the_root()) == f"{TOLD[what]} ended at 2026-11-21 18:41:00 UTC"
    assert verdict_of(CHECKS[what], HOLDING[what](ENDED)) == "not_ok warning"


@pytest.mark.parametrize("what", HOLDING)
@pytest.mark.parametrize(("days", "verdict"), [(0, "ok"), (46, "ok"), (67.4, "ok"), (67.6, "not_ok warning")])
def test_it_is_overdue_when_half_of_the_time_for_its_renewal_is_gone(
    what: str, days: float, verdict: str
) -> None:
    assert verdict_of(CHECKS[what], HOLDING[what](of_age(days))) == verdict


@pytest.mark.parametrize(
    ("flag", "at", "before"),
    [
        ("--workload-cert-grace-period-ratio=0.2", 81, 80.9),
        ("--workload-cert-grace-period-ratio=1", 45.1, 44.9),
        ("--workload-cert-grace-period-ratio=half", 67.6, 67.4),
        ("--workload-cert-grace-period-ratio=7", 67.6, 67.4),
    ],
)
def test_the_time_for_it_is_what_citadels_flag_says(flag: str, at: float, before: float) -> None:
    mesh = a_mesh(workloads=(a_citadel("--self-signed-ca=true", flag),))

    assert Renewal.of(mesh).overdue(of_age(at + 0.05), NOW)
    assert not Renewal.of(mesh).overdue(of_age(before), NOW)


def test_a_certificate_for_minutes_is_given_citadels_least_time() -> None:
    short = a_leaf(since=NOW, until=NOW + 12 * MINUTE)

    assert not Renewal.of(a_mesh()).overdue(short, NOW + 8 * MINUTE)
    assert Renewal.of(a_mesh()).overdue(short, NOW + 10 * MINUTE)


@pytest.mark.parametrize("minutes", [2, 5, 8])
def test_a_certificate_that_is_renewed_at_every_resync_is_not_overdue(minutes: int) -> None:
    short = a_leaf(since=NOW, until=NOW + minutes * MINUTE)

    assert not Renewal.of(a_mesh()).overdue(short, NOW + MINUTE)


# --- what a node agent renews ---------------------------------------------------------------------------

AGENT = a_workload("nodeagent", ref=ObjectRef(kind="DaemonSet", namespace=SYSTEM, name="istio-nodeagent"))
LEFT_OUT = "left out: the node agent renews at times of its own"


def asking(*leaves: Certificate, mounts: tuple[str, ...] = ()) -> MeshSnapshot:
    """A mesh with node agents and a proxy for each leaf, of two at most."""
    names = ("cart", "frontend")
    made = [a_proxy(name, leaves=(loaded(leaf),)) for name, leaf in zip(names, leaves, strict=False)]
    proxies = tuple(replace(each, pod=replace(each.pod, secret_volumes=mounts)) for each in made)
    return a_mesh(workloads=(a_citadel("--self-signed-ca=true"), AGENT), proxies=proxies)


def for_a_day(left: timedelta) -> Certificate:
    """As a node agent asks for them, and so long before its end."""
    return a_leaf(since=NOW + left - DAY, until=NOW + left, serial=91)


def test_proxies_that_ask_the_node_agent_are_left_to_its_times_and_counted() -> None:
    finding = said(table.PROXY_LEAVES, asking(OVERDUE, for_a_day(60 * MINUTE)))

    assert finding is not None
    assert (finding.verdict, finding.summary) == ("skipped", f"no proxy is to be judged; 2 {LEFT_OUT}")
    assert first_break(asking(OVERDUE), the_root()).startswith("the CA's root ends")


def test_one_that_mounts_its_secret_is_judged_by_citadels_times_beside_a_node_agent() -> None:
    assert verdict_of(table.PROXY_LEAVES, asking(OVERDUE, mounts=("istio.default",))) == "not_ok warning"


@pytest.mark.parametrize(
    ("left", "told"),
    [
        (-2 * DAY, "ended at 2026-11-21 18:41:00 UTC"),
        (MINUTE, "ends at 2026-11-23 18:42:00 UTC"),
        (4 * MINUTE, "ends at 2026-11-23 18:45:00 UTC"),
    ],
)
def test_a_certificate_in_its_last_minutes_counts_whoever_renews_it(left: timedelta, told: str) -> None:
    mesh = asking(for_a_day(left), for_a_day(720 * MINUTE))

    finding = said(table.PROXY_LEAVES, mesh)

    assert finding is not None
    assert (finding.verdict, finding.summary) == (
        "not_ok",
        f"0 of 1 proxy has loaded a certificate that was renewed in time; 1 not; 1 {LEFT_OUT}",
    )
    assert finding.offenders[0].startswith("proxy of shop/cart-0: its certificate end")
    assert finding.hint == "see that the node agent of its node is in order, then restart Deployment cart"
    assert first_break(mesh, the_root()) == f"the certificate loaded by shop/cart-0 {told}"


def test_a_certificate_for_minutes_from_a_node_agent_counts_in_its_last_quarter() -> None:
    short = a_leaf(since=NOW - 7 * MINUTE, until=NOW + MINUTE)
    fresh = a_leaf(since=NOW - 4 * MINUTE, until=NOW + 4 * MINUTE)

    verdicts = [one.verdict for one in judge_renewals(asking(short, fresh), the_root(), Holder.PROXY)]

    assert verdicts == [Verdict.NOT_OK, Verdict.SKIPPED]


def test_the_root_of_a_proxy_whose_certificate_ended_has_the_cure_of_who_renews_it() -> None:
    finding = said(table.PROXIES, asking(for_a_day(-2 * DAY)))

    assert finding is not None
    assert finding.hint == "see that the node agent of its node is in order, then restart Deployment cart"


# --- whose it is --------------------------------------------------------------------------------------

SHUT = (a_namespace(SYSTEM), a_namespace(override="false"))


def test_a_secret_that_citadel_does_not_keep_is_left_out() -> None:
    mesh = a_mesh(secrets=(a_secret(leaf=OVERDUE),), namespaces=SHUT)

    assert verdict_of(table.SECRET_LEAVES, mesh) == "silent"
    assert first_break(replace(mesh, proxies=()), the_root()).startswith("the CA's root ends")


def test_a_proxy_of_another_ca_is_left_out() -> None:
    theirs = a_leaf(OTHER_CA, key("p256", 1), since=OVERDUE.not_before, until=OVERDUE.not_after, serial=33)
    proxy = a_proxy(roots=(loaded(OTHER_CA),), leaves=(loaded(theirs),))
    mesh = a_mesh(proxies=(proxy,), secrets=(a_secret(root=bundle(OTHER_CA), leaf=theirs),), namespaces=SHUT)

    assert verdict_of(table.PROXY_LEAVES, mesh) == "silent"


def test_a_proxy_that_citadel_will_not_renew_is_told_what_helps() -> None:
    mesh = a_mesh(proxies=(a_proxy(leaves=(loaded(OVERDUE),)),), namespaces=SHUT)

    finding = said(table.PROXY_LEAVES, mesh)

    assert finding is not None
    assert finding.hint == "give it back to Citadel or take it out of the mesh, then restart Deployment cart"


@pytest.mark.parametrize(
    ("version", "cure"),
    [
        ("1.1.5", "sidecar 1.1.5 does not load it by itself: restart Deployment cart"),
        ("1.4.10", "see that its secret is in order, then restart Deployment cart"),
    ],
)
def test_the_cure_of_a_proxy_depends_on_its_version(version: str, cure: str) -> None:
    finding = said(table.PROXY_LEAVES, a_mesh(proxies=(a_proxy(version=version, leaves=(loaded(OVERDUE),)),)))

    assert finding is not None
    assert finding.hint == cure


def test_of_several_contexts_the_overdue_one_counts_though_another_ends_sooner() -> None:
    for_a_day = a_leaf(since=NOW, until=NOW + DAY)
    mesh = a_mesh(proxies=(a_proxy(leaves=(loaded(for_a_day), loaded(OVERDUE), loaded(the_leaf()))),))

    assert (
        first_break(mesh, the_root())
        == "the certificate loaded by shop/cart-0 ends at 2026-11-25 18:41:00 UTC"
    )


@pytest.mark.parametrize("what", HOLDING)
def test_what_shows_no_certificate_is_told_of_by_the_check_of_its_root(what: str) -> None:
    blind = a_mesh(
        secrets=(a_secret(leaf=None),), served=(a_served(asked=False),), proxies=(a_proxy(leaves=()),)
    )

    assert verdict_of(CHECKS[what], blind) == "silent"


# --- when it is asked -----------------------------------------------------------------------------------


def test_it_is_asked_by_the_routine_and_neither_forbids_a_rotation_nor_ends_one() -> None:
    assert set(RENEWALS) <= set(ROUTINE)
    assert not set(RENEWALS) & {*PREFLIGHT, *VERIFICATION}


def test_it_alarms_when_two_checks_saw_it_and_not_while_a_rotation_re_issues() -> None:
    ids = {check.id for check in RENEWALS}
    calm: MeshSnapshot = a_mesh()

    assert ids <= SETTLING
    assert ids <= holders_of_no_account(calm, rotating=True)
    assert not ids & holders_of_no_account(calm, rotating=False)

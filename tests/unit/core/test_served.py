"""Judging the certificates that webhooks serve: istio/istio #17718, #17739, #16374, #20478."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.core.certificates import Certificate, read_bundle
from bot.core.checks.rule import Policy
from bot.core.checks.table import ROUTINE, SERVED, VERIFICATION, evaluate
from bot.core.findings import Finding, Verdict
from bot.core.ids import ClusterUid, MeshName
from bot.core.mesh import MeshSnapshot, ObjectRef, Part, ServedCertificate
from bot.core.verification import Holder, judge_holders, judge_served, tally
from tests.fakes.certificates import a_key, leaf_pem, root_pem

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=300)
KEY = a_key()
OLD = root_pem(KEY, not_before=LONG_AGO, not_after=NOW + timedelta(days=12))
ROOT = root_pem(KEY, not_before=NOW, not_after=NOW + timedelta(days=3650), serial=2)
POD = ObjectRef(kind="Pod", namespace="istio-system", name="istio-galley-0")
GALLEY = ObjectRef(kind="Deployment", namespace="istio-system", name="istio-galley")
RESTART = "restart Deployment istio-system/istio-galley"
LOOK = "look at Pod istio-system/istio-galley-0; then verify again"


def certificate(pem: bytes) -> Certificate:
    found = read_bundle(pem).first
    assert found is not None
    return found


def leaf(*, root: bytes = ROOT, key: int | None = None, since: datetime = NOW, days: int = 90) -> Certificate:
    signer = KEY if key is None else a_key(key)
    pem = leaf_pem(
        root,
        signer,
        identity="ns/istio-system/sa/galley",
        not_before=since,
        serial=9,
        lifetime=timedelta(days=days),
    )
    return certificate(pem)


def served(**more: object) -> ServedCertificate:
    facts = {"service": "istio-system/istio-galley", "pod": POD, "workload": GALLEY} | more
    return ServedCertificate(**facts)  # type: ignore[arg-type]


def snapshot(*found: ServedCertificate, parts: frozenset[Part] = frozenset({Part.WEBHOOKS})) -> MeshSnapshot:
    return MeshSnapshot(
        mesh=MeshName("prod"),
        namespace="istio-system",
        cluster_uid=ClusterUid("uid"),
        parts=parts,
        taken_at=NOW,
        served=found,
    )


OTHER = root_pem(
    a_key(5), not_before=LONG_AGO, not_after=NOW + timedelta(days=12), organization="other.local"
)
EXPIRED = "expired at 2026-11-22 12:00:00 UTC"

JUDGED: dict[str, tuple[ServedCertificate, Verdict, str, str]] = {
    "a leaf of this root": (served(leaf=leaf()), Verdict.OK, "", ""),
    "a leaf of the old root with the same key": (
        served(leaf=leaf(root=OLD, since=NOW - timedelta(days=10))),
        Verdict.OK,
        "",
        "",
    ),
    "a leaf that ended yesterday": (
        served(leaf=leaf(since=NOW - timedelta(days=91))),
        Verdict.NOT_OK,
        EXPIRED,
        RESTART,
    ),
    "a leaf that another key signed": (
        served(leaf=leaf(key=5)),
        Verdict.NOT_OK,
        "was signed with another key",
        RESTART,
    ),
    "a leaf of another mesh": (
        served(leaf=leaf(root=OTHER, key=5)),
        Verdict.NOT_OK,
        "names another issuer (O=other.local)",
        RESTART,
    ),
    "a refused leaf of a bare pod": (
        served(leaf=leaf(key=5), workload=None),
        Verdict.NOT_OK,
        "was signed with another key",
        "restart Pod istio-system/istio-galley-0",
    ),
    "a pod that did not answer": (
        served(fault="port 443: did not answer within 5 s"),
        Verdict.UNKNOWN,
        "port 443: did not answer within 5 s",
        LOOK,
    ),
    "a pod that showed nothing": (served(), Verdict.UNKNOWN, "it shows no certificate", LOOK),
    "nobody behind the Service": (
        served(pod=None, workload=None, fault="no ready pod stands behind it"),
        Verdict.UNKNOWN,
        "no ready pod stands behind it",
        "look at its Deployment; then verify again",
    ),
    "a pod that is ending": (served(asked=False), Verdict.SKIPPED, "its pod has ended or is ending", ""),
    "a pod that is not ready": (
        served(asked=False, fault="is not ready"),
        Verdict.SKIPPED,
        "is not ready",
        "",
    ),
}


@pytest.mark.parametrize(("found", "verdict", "reason", "cure"), JUDGED.values(), ids=JUDGED)
def test_what_a_webhook_shows_is_judged(
    found: ServedCertificate, verdict: Verdict, reason: str, cure: str
) -> None:
    (judged,) = judge_served(snapshot(found), certificate(ROOT))

    assert judged.verdict is verdict
    assert reason in judged.reason
    assert judged.cure == cure


def test_under_a_root_that_has_ended_no_restart_helps() -> None:
    ended = root_pem(KEY, not_before=LONG_AGO, not_after=NOW - timedelta(days=1))

    (judged,) = judge_served(snapshot(served(leaf=leaf(root=ended))), certificate(ended))

    assert (judged.verdict, judged.cure) == (Verdict.NOT_OK, "the root must be renewed first")


def test_the_pod_is_named_and_where_there_is_none_the_service() -> None:
    nobody = served(pod=None, fault="no ready pod stands behind it")

    named = [judged.what for judged in judge_served(snapshot(served(), nobody), certificate(ROOT))]

    assert named == [
        "webhook server Pod istio-system/istio-galley-0",
        "webhook server of Service istio-system/istio-galley",
    ]


def test_servers_are_counted_apart_from_webhooks() -> None:
    found = snapshot(served(leaf=leaf()), served(leaf=leaf(key=5)), served(), served(asked=False))

    (counted,) = tally(judge_holders(found, certificate(ROOT)))

    assert counted.kind == Holder.SERVED.value
    assert (counted.ok, counted.not_ok, counted.unknown, counted.skipped) == (1, 1, 1, 1)


def test_without_a_look_at_webhooks_nothing_is_said_of_their_servers() -> None:
    assert judge_served(snapshot(served(), parts=frozenset()), certificate(ROOT)) == ()


def finding(*found: ServedCertificate) -> Finding:
    policy = Policy(expected=certificate(ROOT))
    (told,) = evaluate([SERVED], snapshot(*found), policy=policy, now=NOW)
    return told


def test_the_check_is_asked_by_check_and_by_verify() -> None:
    assert SERVED in ROUTINE
    assert SERVED in VERIFICATION


def test_the_check_names_who_shows_a_bad_certificate_and_the_cure() -> None:
    told = finding(served(leaf=leaf()), served(leaf=leaf(since=NOW - timedelta(days=91))))

    assert told.verdict is Verdict.NOT_OK
    assert told.summary == "1 of 2 webhook servers shows a certificate that the root vouches for; 1 not"
    assert told.hint == RESTART
    (offender,) = told.offenders
    assert offender.startswith("webhook server Pod istio-system/istio-galley-0: ")
    assert offender.endswith(f"{EXPIRED}, so the API server refuses it")


def test_the_check_cannot_tell_what_it_cannot_read() -> None:
    assert finding(served(fault="no answer")).verdict is Verdict.UNKNOWN


def test_a_mesh_whose_webhooks_are_served_under_another_ca_is_skipped() -> None:
    assert finding().verdict is Verdict.SKIPPED

"""Judges everything that holds a root against the root that should be there.

One HolderVerdict for each holder; `tally` counts them with denominators. What could not be read
is UNKNOWN and counts; what Citadel does not look after is SKIPPED and says so.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from bot.core.authority import citadel_container, is_citadel
from bot.core.certificates import Bundle, Certificate
from bot.core.components import Reissues, may_hold_older_root, pods_of, restart_candidates, restarted_under
from bot.core.findings import Tally, Verdict
from bot.core.keeping import Keeping, keeping, why_unmanaged
from bot.core.leaves import why_refused
from bot.core.mesh import (
    MeshSnapshot,
    ObjectRef,
    Part,
    Pod,
    Proxy,
    ServedCertificate,
    Webhook,
    Workload,
    WorkloadSecret,
)
from bot.core.names import TRUST_CONFIG_MAP
from bot.core.progress import Straggler
from bot.core.proxies import Known, proxy_verdict
from bot.core.versions import citadel_publishes_its_root, version_of_image


class Holder(StrEnum):
    """What may hold a root."""

    SECRET = "workload secrets"  # noqa: S105 - a kind of object, not a password
    TRUST = "trust config maps"
    WEBHOOK = "webhooks"
    SERVED = "webhook servers"
    PROCESS = "control plane processes"
    PROXY = "proxies"


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderVerdict:
    """One holder, judged."""

    holder: Holder
    what: str
    """By name: `Secret shop/istio.cart`, `proxy of shop/cart-5d9`."""
    verdict: Verdict
    reason: str = ""
    cure: str = ""

    @property
    def straggler(self) -> Straggler:
        """For showing; only sensible for NOT_OK and UNKNOWN."""
        return Straggler(what=self.what, reason=self.reason, cure=self.cure, verdict=self.verdict)


def judge_holders(snapshot: MeshSnapshot, expected: Certificate) -> tuple[HolderVerdict, ...]:
    """Judge every holder of the parts that the snapshot covers."""
    return (
        *judge_secrets(snapshot, expected),
        *judge_webhooks(snapshot, expected),
        *judge_served(snapshot, expected),
        *judge_processes(snapshot, expected),
        *judge_proxies(snapshot, expected),
    )


def tally(verdicts: Iterable[HolderVerdict]) -> tuple[Tally, ...]:
    """Count by kind of holder, in the order of Holder; kinds that were not looked at are left out."""
    seen = list(verdicts)
    return tuple(
        _tally_of(kind, [v.verdict for v in seen if v.holder is kind])
        for kind in Holder
        if any(v.holder is kind for v in seen)
    )


def _tally_of(kind: Holder, verdicts: list[Verdict]) -> Tally:
    return Tally(
        kind=kind,
        ok=verdicts.count(Verdict.OK),
        not_ok=verdicts.count(Verdict.NOT_OK),
        unknown=verdicts.count(Verdict.UNKNOWN),
        skipped=verdicts.count(Verdict.SKIPPED),
    )


def stragglers(verdicts: Iterable[HolderVerdict]) -> tuple[Straggler, ...]:
    """Everything that is NOT_OK or UNKNOWN, not ok first."""
    behind = [v for v in verdicts if v.verdict in (Verdict.NOT_OK, Verdict.UNKNOWN)]
    return tuple(v.straggler for v in sorted(behind, key=lambda v: (v.verdict, v.what)))


def _unread(snapshot: MeshSnapshot, part: Part, holder: Holder) -> Iterator[HolderVerdict]:
    for unread in snapshot.unread_in(part):
        yield HolderVerdict(
            holder=holder,
            what=unread.what,
            verdict=Verdict.UNKNOWN,
            reason=f"could not be read: {unread.reason}",
            cure="`rootkeeper doctor` names missing permissions",
        )


# --- workload secrets ------------------------------------------------------------------------


def judge_secrets(snapshot: MeshSnapshot, expected: Certificate) -> tuple[HolderVerdict, ...]:
    """Workload secrets and the trust ConfigMap."""
    if Part.SECRETS not in snapshot.parts:
        return ()
    kept = keeping(snapshot)
    verdicts = [_judge_secret(secret, kept, snapshot, expected) for secret in snapshot.secrets]
    return (*verdicts, *_unread(snapshot, Part.SECRETS, Holder.SECRET), *_judge_trust(snapshot, expected))


def _judge_secret(
    secret: WorkloadSecret, kept: Keeping, seen: MeshSnapshot, expected: Certificate
) -> HolderVerdict:
    what = str(secret.ref)
    if skipped := why_unmanaged(secret, kept):
        return HolderVerdict(holder=Holder.SECRET, what=what, verdict=Verdict.SKIPPED, reason=skipped)
    verdict, reason = _root_verdict(secret.root, expected)
    cure = "Citadel re-issues it within minutes; wait"
    if not reason and not secret.service_account:
        reason = "has no annotation istio.io/service-account.name, by which Citadel knows whose it is"
        cure = (
            "delete this one secret and restart Citadel: without the annotation it is made anew only when "
            "Citadel starts or looks at the service account again"
        )
    if not reason:
        reason, cure = _wrong_leaf(secret, expected, seen)
    if reason and verdict is Verdict.OK:
        verdict = Verdict.NOT_OK
    return HolderVerdict(
        holder=Holder.SECRET, what=what, verdict=verdict, reason=reason, cure=cure if reason else ""
    )


def _root_verdict(bundle: Bundle, expected: Certificate) -> tuple[Verdict, str]:
    reason = _wrong_root(bundle, expected)
    if not reason:
        return Verdict.OK, ""
    return Verdict.NOT_OK if bundle.read else Verdict.UNKNOWN, reason


def _wrong_root(bundle: Bundle, expected: Certificate) -> str:
    if not bundle.certificates:
        return "its root " + (bundle.faults[0] if bundle.faults else "is empty")
    if expected in bundle.certificates:
        return ""
    first = bundle.certificates[0]
    kinship = "" if first.public_key_digest == expected.public_key_digest else " of another key"
    return f"still holds the root{kinship} that ends {first.not_after:%Y-%m-%d} ({first.fingerprint[:16]})"


def _wrong_leaf(secret: WorkloadSecret, expected: Certificate, seen: MeshSnapshot) -> tuple[str, str]:
    if secret.leaf is None:
        return (
            secret.leaf_fault or "its certificate is missing",
            "delete this one secret; Citadel makes it anew at once (1.0 never repairs it by itself)",
        )
    reason = why_refused(secret.leaf, expected, seen=seen)
    return (
        f"its certificate {reason}" if reason else "",
        "restart Citadel; if that does not help, delete this secret",
    )


def _judge_trust(snapshot: MeshSnapshot, expected: Certificate) -> Iterator[HolderVerdict]:
    ref = ObjectRef(kind="ConfigMap", namespace=snapshot.namespace, name=TRUST_CONFIG_MAP)
    verdict, reason = (
        _root_verdict(snapshot.trust.root, expected) if snapshot.trust else _without_trust(ref, snapshot)
    )
    if verdict is not Verdict.SKIPPED:
        yield HolderVerdict(
            holder=Holder.TRUST,
            what=str(ref),
            verdict=verdict,
            reason=reason,
            cure="Citadel writes it when it starts; restart Citadel" if reason else "",
        )


def _without_trust(ref: ObjectRef, snapshot: MeshSnapshot) -> tuple[Verdict, str]:
    """Skipped where it is unread, which is told of already, and where no Citadel here would write it."""
    citadel = next(
        (w for w in snapshot.workloads if is_citadel(w) and w.ref.namespace == ref.namespace), None
    )
    if citadel is None or any(str(ref) == unread.what for unread in snapshot.unread_in(Part.SECRETS)):
        return Verdict.SKIPPED, ""
    version = version_of_image(citadel_container(citadel).image)
    match citadel_publishes_its_root(version):
        case True:
            return Verdict.NOT_OK, f"does not exist, and Citadel {version} always writes it"
        case False:
            return Verdict.SKIPPED, ""
        case None:
            return (
                Verdict.UNKNOWN,
                "does not exist; Citadel writes it since 1.1, and this one's version is unknown",
            )


# --- webhooks ----------------------------------------------------------------------------------


def judge_webhooks(snapshot: MeshSnapshot, expected: Certificate) -> tuple[HolderVerdict, ...]:
    """caBundles, entry by entry."""
    if Part.WEBHOOKS not in snapshot.parts:
        return ()
    verdicts = [_judge_webhook(webhook, expected) for webhook in snapshot.webhooks]
    return (*verdicts, *_unread(snapshot, Part.WEBHOOKS, Holder.WEBHOOK))


def _judge_webhook(webhook: Webhook, expected: Certificate) -> HolderVerdict:
    what = f"{webhook.ref} ({webhook.entry})"
    if webhook.injected:
        return HolderVerdict(
            holder=Holder.WEBHOOK,
            what=what,
            verdict=Verdict.SKIPPED,
            reason="cert-manager fills its caBundle",
        )
    verdict, reason = _root_verdict(webhook.root, expected)
    return HolderVerdict(
        holder=Holder.WEBHOOK,
        what=what,
        verdict=verdict,
        reason=reason,
        cure=f"restart the component behind it ({webhook.service or 'see its service'})" if reason else "",
    )


def judge_served(snapshot: MeshSnapshot, expected: Certificate) -> tuple[HolderVerdict, ...]:
    """The certificates that webhook servers show, pod by pod.

    A root that keeps its key vouches for certificates from before it, so an old one is fine until it
    ends; what is red is what the API server refuses: expired, or signed with another key.
    """
    if Part.WEBHOOKS not in snapshot.parts:
        return ()
    return tuple(_judge_served(served, expected, snapshot) for served in snapshot.served)


def _judge_served(served: ServedCertificate, expected: Certificate, seen: MeshSnapshot) -> HolderVerdict:
    verdict, reason, cure = _served_verdict(served, expected, seen)
    return HolderVerdict(
        holder=Holder.SERVED,
        what=f"webhook server {served.pod or f'of Service {served.service}'}",
        verdict=verdict,
        reason=reason,
        cure=cure,
    )


def _served_verdict(
    served: ServedCertificate, expected: Certificate, seen: MeshSnapshot
) -> tuple[Verdict, str, str]:
    if not served.asked:
        return Verdict.SKIPPED, served.fault or "its pod has ended or is ending", ""
    if served.leaf is None:
        return (
            Verdict.UNKNOWN,
            served.fault or "it shows no certificate",
            f"look at {served.pod or served.workload or 'its Deployment'}; then verify again",
        )
    reason = why_refused(served.leaf, expected, seen=seen)
    if reason is None:
        return Verdict.OK, "", ""
    cure = f"restart {served.workload or served.pod}"
    if seen.taken_at >= expected.not_after:
        cure = "the root must be renewed first"
    return Verdict.NOT_OK, f"shows a certificate that {reason}, so the API server refuses it", cure


# --- control plane processes ------------------------------------------------------------------


def judge_processes(snapshot: MeshSnapshot, expected: Certificate) -> tuple[HolderVerdict, ...]:
    """Pods of components that read the root only at start; another control plane's are judged with its mesh."""
    if Part.AUTHORITY not in snapshot.parts:
        return ()
    reissues = Reissues.of(snapshot, expected)
    verdicts = (
        _judge_process(pod, workload, reissues)
        for workload, _ in restart_candidates(snapshot)
        for pod in pods_of(workload, snapshot)
    )
    return tuple(verdicts)


def _judge_process(pod: Pod, workload: Workload, reissues: Reissues) -> HolderVerdict:
    verdict, reason, cure = _process_verdict(pod, workload, reissues)
    return HolderVerdict(holder=Holder.PROCESS, what=str(pod.ref), verdict=verdict, reason=reason, cure=cure)


def _process_verdict(pod: Pod, workload: Workload, reissues: Reissues) -> tuple[Verdict, str, str]:
    own = reissues.own(pod)
    behind = next((secret for secret in own if reissues.root not in secret.root.certificates), None)
    if behind:
        reason = f"reads {behind.ref}, which does not carry the root yet"
        return Verdict.NOT_OK, reason, f"wait for Citadel to re-issue that, then restart {pod.workload}"
    if pod.started_at is None:
        return Verdict.UNKNOWN, "has not started", "`kubectl describe pod` says why; then verify again"
    if not may_hold_older_root(pod, reissues) or restarted_under(reissues.root, workload, pod):
        return Verdict.OK, "", ""
    started = f"{pod.started_at:%Y-%m-%d %H:%M} UTC"
    reason = f"reads the root only at start and started at {started}, before the new one was surely there"
    return Verdict.NOT_OK, reason, _restarting(pod, workload)


def _restarting(pod: Pod, workload: Workload) -> str:
    if workload.replaced_by_hand:
        return (
            f"delete it by hand: {pod.workload} has the update strategy OnDelete, so a restart reaches no pod"
        )
    return f"restart {pod.workload}"


# --- proxies -----------------------------------------------------------------------------------


def judge_proxies(snapshot: MeshSnapshot, expected: Certificate) -> tuple[HolderVerdict, ...]:
    """What every Envoy has loaded.

    With the part SECRETS, proxies that Citadel leaves alone are told apart, and certificates that are
    still in their secrets are judged in full; Envoy tells too little of them.
    """
    if Part.PROXIES not in snapshot.parts:
        return ()
    known = Known.of(snapshot, expected)
    verdicts = [_judge_proxy(proxy, known) for proxy in snapshot.proxies]
    return (*verdicts, *_unread(snapshot, Part.PROXIES, Holder.PROXY))


def _judge_proxy(proxy: Proxy, known: Known) -> HolderVerdict:
    verdict, reason, cure = proxy_verdict(proxy, known)
    return HolderVerdict(
        holder=Holder.PROXY,
        what=f"proxy of {proxy.pod.ref.namespace}/{proxy.pod.ref.name}",
        verdict=verdict,
        reason=reason,
        cure=cure,
    )

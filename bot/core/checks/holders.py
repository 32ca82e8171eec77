"""Rules about everything that holds a root, and about mutual TLS itself."""

from collections.abc import Sequence
from dataclasses import replace

from bot.core.checks.rule import READ, Judged, Scene, not_ok, ok, skipped, unknown
from bot.core.elsewhere import parts_elsewhere, webhooks_elsewhere
from bot.core.findings import Severity, Verdict
from bot.core.mesh import MeshSnapshot, Part
from bot.core.renewals import judge_renewals
from bot.core.verification import (
    Holder,
    HolderVerdict,
    judge_processes,
    judge_proxies,
    judge_secrets,
    judge_served,
    judge_webhooks,
)
from bot.core.versions import sidecar_loads_new_roots
from bot.core.wording import agree, count, share

STOPS_WITH_WEBHOOKS = "at its end no pod gets a sidecar and no configuration of Istio can be applied"


UNREAD_POLICIES = (
    "Take it as used. `rootkeeper doctor` names missing permissions; mend a policy that is not understood."
)


def everything_read(scene: Scene) -> Judged:
    """Whether anything is missing from the picture, whichever check would have looked at it.

    But for what tells of mutual TLS's use: `mutual_tls` names it, and it forbids no rotation.
    """
    unread = (u for u in scene.snapshot.unread if u.part is not Part.POLICY)
    missing = tuple(f"{u.what}: {u.reason}" for u in unread)
    if missing:
        return unknown(f"{count(len(missing), 'thing')} could not be read", offenders=missing)
    return ok("everything that was looked for could be read")


def secrets(scene: Scene) -> Judged | None:
    """Whether every workload secret that Citadel looks after carries the root and a good leaf."""
    if scene.expected is None:
        return None
    verdicts = [v for v in judge_secrets(scene.snapshot, scene.expected) if v.holder is Holder.SECRET]
    if not verdicts:
        return unknown(
            "no secret of type istio.io/key-and-cert was found: either proxies get certificates another way "
            "(SDS), or the wrong cluster or namespace was looked at",
            hint="Look at the mesh's namespace in ROOTKEEPER_MESHES; a mesh with SDS cannot be rotated here.",
        )
    return _summed(verdicts, "workload secret", "carry the root and a certificate that it signed")


def secrets_skipped(scene: Scene) -> Judged | None:
    """Which workload secrets are left alone by design."""
    if scene.expected is None:
        return None
    left = [v for v in judge_secrets(scene.snapshot, scene.expected) if v.verdict is Verdict.SKIPPED]
    if not left:
        return None
    listed = tuple(f"{v.what}: {v.reason}" for v in left)
    return skipped(
        f"{count(len(left), 'workload secret')} left alone, because Citadel does not keep "
        + ("it" if len(left) == 1 else "them"),
        offenders=listed,
    )


def trust(scene: Scene) -> Judged | None:
    """Whether the trust ConfigMap carries the root."""
    if scene.expected is None:
        return None
    verdicts = [v for v in judge_secrets(scene.snapshot, scene.expected) if v.holder is Holder.TRUST]
    return _summed(verdicts, "trust config map", "carry the root") if verdicts else None


def webhooks(scene: Scene) -> Judged | None:
    """Whether the API server would trust the mesh's webhooks."""
    if scene.expected is None:
        return None
    verdicts = judge_webhooks(scene.snapshot, scene.expected)
    if not verdicts:
        return skipped("no admission webhook of this mesh was found")
    return _summed(verdicts, "webhook", "trust the root")


def served(scene: Scene) -> Judged | None:
    """Whether the API server would accept the certificates that webhook servers show."""
    if scene.expected is None:
        return None
    verdicts = judge_served(scene.snapshot, scene.expected)
    if not verdicts:
        return skipped("no webhook of this mesh is served from a certificate of its CA")
    return _summed(verdicts, "webhook server", "show a certificate that the root vouches for")


def processes(scene: Scene) -> Judged | None:
    """Whether parts that read the root only at start have read this one."""
    if scene.expected is None:
        return None
    verdicts = judge_processes(scene.snapshot, scene.expected)
    return _summed(verdicts, "control plane process", "have started with the root") if verdicts else None


def in_one_place(scene: Scene) -> Judged | None:
    """Whether parts of a control plane were seen of which it cannot be told whether this CA signs for them."""
    found = parts_elsewhere(scene.snapshot)
    if not found:
        return None
    return unknown(
        f"{count(len(found), 'part')} of a control plane {agree(len(found), 'stand')} where no CA does, so "
        "whether this root is theirs cannot be told",
        offenders=found,
    )


def proxies(scene: Scene) -> Judged | None:
    """Whether every Envoy has loaded the root."""
    if scene.expected is None:
        return None
    verdicts = judge_proxies(scene.snapshot, scene.expected)
    if not any(v.verdict is not Verdict.SKIPPED for v in verdicts):
        return unknown(
            "no running proxy of this mesh was found",
            hint="Look at the mesh's namespace in ROOTKEEPER_MESHES.",
        )
    return _summed(verdicts, "proxy", "have loaded the root")


def secret_leaves(scene: Scene) -> Judged | None:
    """Whether Citadel renews the certificates that it keeps."""
    return _renewed(scene, Holder.SECRET, "workload secret", "have a certificate that was renewed in time")


def served_leaves(scene: Scene) -> Judged | None:
    """Whether webhook servers load their renewed certificates."""
    return _renewed(scene, Holder.SERVED, "webhook server", "show a certificate that was renewed in time")


def proxy_leaves(scene: Scene) -> Judged | None:
    """Whether every Envoy loads its renewed certificates."""
    return _renewed(scene, Holder.PROXY, "proxy", "have loaded a certificate that was renewed in time")


def _renewed(scene: Scene, holder: Holder, noun: str, good: str) -> Judged | None:
    """Of those that show one: what shows none is told of by the check of its root."""
    verdicts = judge_renewals(scene.snapshot, scene.expected, holder)
    if not verdicts:
        return None
    judged = _summed(verdicts, noun, good)
    left = [v.reason for v in verdicts if v.verdict is Verdict.SKIPPED]
    why = "; ".join(dict.fromkeys(left))
    return replace(judged, summary=f"{judged.summary}; {len(left):,} left out: {why}") if left else judged


def _summed(verdicts: Sequence[HolderVerdict], noun: str, good: str) -> Judged:
    counted = [v for v in verdicts if v.verdict is not Verdict.SKIPPED]
    wrong = [v for v in counted if v.verdict is Verdict.NOT_OK]
    unread = [v for v in counted if v.verdict is Verdict.UNKNOWN]
    fine = len(counted) - len(wrong) - len(unread)
    lead = share(fine, len(counted), noun=noun, verb=good)
    offenders = tuple(_line(v) for v in (*wrong, *unread))
    if wrong:
        more = f", {len(unread):,} could not be read" if unread else ""
        return not_ok(f"{lead}; {len(wrong):,} not{more}", offenders=offenders, hint=_cures(wrong))
    if unread:
        return unknown(f"{lead}; {len(unread):,} could not be read", offenders=offenders, hint=_cures(unread))
    if not counted:
        return skipped(f"no {noun} is to be judged")
    return ok(lead)


def _cures(verdicts: Sequence[HolderVerdict]) -> str | None:
    """The first three different ones: enough for a line, the rest stands with each straggler."""
    return " · ".join(list(dict.fromkeys(v.cure for v in verdicts if v.cure))[:3]) or None


def _line(verdict: HolderVerdict) -> str:
    return f"{verdict.what}: {verdict.reason}"


def leaves_outlive_root(scene: Scene) -> Judged | None:
    """Whether workload certificates claim to live longer than the root above them."""
    root = scene.signer
    if root is None or not scene.snapshot.secrets:
        return None
    over = [s for s in scene.snapshot.secrets if s.leaf and s.leaf.not_after > root.not_after]
    if not over:
        return ok("no workload certificate outlives the root")
    return not_ok(
        f"{count(len(over), 'workload certificate')} would outlive the root: with its end they fail, "
        "whatever their own dates say",
    )


def sidecar_versions(scene: Scene) -> Judged | None:
    """Which sidecars will not load a new root by themselves."""
    asked = [p for p in scene.snapshot.proxies if p.asked]
    if not asked:
        return None
    old = tuple(
        f"{p.pod.ref.namespace}/{p.pod.ref.name} ({p.version}): restart {p.pod.workload or 'the pod'}, or upgrade"
        for p in asked
        if sidecar_loads_new_roots(p.version) is False
    )
    unclear = tuple(f"{p.pod.ref.namespace}/{p.pod.ref.name}" for p in asked if not p.version)
    if old:
        return not_ok(
            f"{count(len(old), 'sidecar')} will not load a new root until restarted (before 1.0.8 or 1.1.8)",
            offenders=old,
        )
    if unclear:
        return unknown(
            f"the version of {count(len(unclear), 'sidecar')} cannot be told from the image",
            offenders=unclear,
        )
    return ok(f"{count(len(asked), 'sidecar')}, each of a version that loads a new root by itself")


def mutual_tls(scene: Scene) -> Judged:
    """Whether anything depends on the root at all."""
    used = mutual_tls_use(scene.snapshot)
    if missing := tuple(f"{u.what}: {u.reason}" for u in scene.snapshot.unread_in(Part.POLICY)):
        known = "mutual TLS is in use" if used == "used" else "whether mutual TLS is used could not be told"
        return unknown(
            f"{known}; {count(len(missing), 'thing')} that would tell of it could not be read",
            offenders=missing,
            hint=UNREAD_POLICIES,
        )
    match used:
        case "used":
            return ok("mutual TLS is in use: the mesh depends on this root")
        case "planned":
            return not_ok(
                "mutual TLS is permitted but no client uses it yet: rotating is not urgent, and worth doing "
                "before it is switched on",
                severity=Severity.INFO,
            )
        case "unused":
            return _without_mutual_tls(scene.snapshot)
        case _:
            return unknown("whether mutual TLS is used could not be read", hint=READ)


def _without_mutual_tls(snapshot: MeshSnapshot) -> Judged:
    hooks = webhooks_at_stake(snapshot)
    if hooks is None:
        return unknown("mutual TLS is not used; whether admission webhooks need this root could not be told")
    if hooks:
        return not_ok(
            "mutual TLS is not used, but the API server trusts "
            f"{count(len(hooks), 'admission webhook')} of this mesh by this root: {STOPS_WITH_WEBHOOKS}",
            severity=Severity.INFO,
            offenders=hooks,
        )
    return skipped("neither mutual TLS nor an admission webhook needs this root: its end breaks nothing")


def webhooks_at_stake(snapshot: MeshSnapshot) -> tuple[str, ...] | None:
    """The mesh's admission webhooks that the API server trusts by this root; None when that cannot be told.

    Those that cert-manager fills are trusted by another. A caBundle that is empty or of another root
    counts: what stands behind it has its certificate from this CA and writes the bundle anew.
    """
    if Part.WEBHOOKS not in snapshot.parts:
        return None
    found = tuple(f"{hook.ref} ({hook.entry})" for hook in snapshot.webhooks if not hook.injected)
    doubtful = snapshot.unread_in(Part.WEBHOOKS) or webhooks_elsewhere(snapshot)
    return None if doubtful and not found else found


def nothing_at_stake(snapshot: MeshSnapshot) -> bool:
    """Whether it is proved that the root's end breaks nothing."""
    return mutual_tls_use(snapshot) == "unused" and webhooks_at_stake(snapshot) == ()


def mutual_tls_use(snapshot: MeshSnapshot) -> str:
    """`used`, `planned`, `unused`, or `unknown` when what was read does not settle it."""
    seen = snapshot.mutual_tls
    accepted = {seen.mesh_policy, seen.peers} - {None, ""}
    if "strict" in accepted or seen.control_plane or seen.destination_rules or seen.policies:
        return "used"
    if seen.automatic and accepted:
        return "used"
    said = (seen.mesh_policy, seen.peers, seen.automatic, seen.control_plane)
    if None in (*said, seen.destination_rules, seen.policies) or Part.POLICY not in snapshot.parts:
        return "unknown"
    return "planned" if accepted or seen.automatic else "unused"

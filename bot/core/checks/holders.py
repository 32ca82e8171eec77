"""Rules about everything that holds a root, and about mutual TLS itself."""

from collections.abc import Sequence

from bot.core.checks.rule import READ, Judged, Scene, not_ok, ok, skipped, unknown
from bot.core.findings import Severity, Verdict
from bot.core.mesh import MeshSnapshot, Part
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
from bot.core.wording import count, share


def everything_read(scene: Scene) -> Judged:
    """Whether anything is missing from the picture, whichever check would have looked at it."""
    missing = tuple(f"{unread.what}: {unread.reason}" for unread in scene.snapshot.unread)
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
            return skipped(
                "mutual TLS is not used in this mesh: the root's end breaks nothing, and nothing needs to be done"
            )
        case _:
            return unknown("whether mutual TLS is used could not be read", hint=READ)


def mutual_tls_use(snapshot: MeshSnapshot) -> str:
    """`used`, `planned`, `unused`, or `unknown` when what was read does not settle it."""
    seen = snapshot.mutual_tls
    if seen.mesh_policy == "strict" or seen.control_plane or seen.destination_rules or seen.policies:
        return "used"
    unsettled = None in (seen.mesh_policy, seen.control_plane, seen.destination_rules, seen.policies)
    if unsettled or Part.POLICY not in snapshot.parts:
        return "unknown"
    return "planned" if seen.mesh_policy == "permissive" else "unused"
